"""Definitions of sweeps."""

QUICK = (  # flags of a trial of seconds
    "dataset=strokes way=3 query=2 metabatch=1 n_steps=1 n_train_iters=6 eval_freq=2 n_eval_batches=1 log_freq=1 "
    "blocks=2 n_test_iters=4 wandb=disabled maml=true second_order=first"
)


def definition(**changes) -> dict:
    """The content of a sweep definition: a grid of two inner learning rates, but for the changes."""
    content = dict(
        program="main.py", method="grid", metric=dict(name="val_acc", goal="maximize"),
        command=["${env}", "${interpreter}", "${program}", *[f"--{flag}" for flag in QUICK.split()], "${args}"],
        parameters=dict(inner_lr=dict(values=[0.05, 0.4]), shot=dict(value=2)),
    )  # fmt: skip
    return {**content, **changes}
