"""Settings: `config.py` declares them, `setting.py` defines a setting, `identity.py` compares the settings of runs."""
