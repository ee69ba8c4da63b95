"""The split of Omniglot by Vinyals et al., "Matching Networks for One Shot Learning" (arXiv:1606.04080).

It assigns whole alphabets, except one that is divided: its first 41 characters are for training, the other 4 for
testing.
"""

from tf_metadrop.data.omniglot_splits import with_rotations

# {alphabet: number of its last character in this split}, in the order of the split's files: episodes depend on it.
TRAIN = {
    "Angelic": 20, "Grantha": 43, "N_Ko": 33, "Aurek-Besh": 26, "Japanese_(hiragana)": 52, "Malay_(Jawi_-_Arabic)": 40,
    "Asomtavruli_(Georgian)": 40, "Sanskrit": 42, "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14, "Korean": 40,
    "Arcadian": 26, "Greek": 24, "Alphabet_of_the_Magi": 20, "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
    "Futurama": 26, "Gurmukhi": 41, "Tagalog": 17, "Anglo-Saxon_Futhorc": 29, "Braille": 26, "Cyrillic": 33,
    "Burmese_(Myanmar)": 34, "Avesta": 26, "Gujarati": 48, "Ge_ez": 26, "Syriac_(Estrangelo)": 23, "Atlantean": 26,
    "Japanese_(katakana)": 47, "Balinese": 24, "Atemayar_Qelisayer": 26, "Glagolitic": 45, "Tifinagh": 55, "Latin": 26,
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16, "Hebrew": 22, "Mkhedruli_(Georgian)": 41, "Armenian": 41,
    "Early_Aramaic": 22, "Bengali": 46,
}  # fmt: skip
TEST = {
    "Gurmukhi": 45, "Kannada": 41, "Keble": 26, "Malayalam": 47, "Manipuri": 40, "Mongolian": 30,
    "Old_Church_Slavonic_(Cyrillic)": 45, "Oriya": 46, "Syriac_(Serto)": 23, "Sylheti": 28, "Tengwar": 25,
    "Tibetan": 42, "ULOG": 26,
}  # fmt: skip


def split() -> dict[str, list[str]]:
    """{"train": 4800 classes, "test": 1692 classes}, `Alphabet/characterNN/rotDDD` in the order of the files."""

    def characters(last: dict[str, int], before: dict[str, int]) -> list[str]:
        numbers = {alphabet: range(before.get(alphabet, 0) + 1, end + 1) for alphabet, end in last.items()}
        return [f"{alphabet}/character{number:02d}" for alphabet, of in numbers.items() for number in of]

    return {"train": with_rotations(characters(TRAIN, {})), "test": with_rotations(characters(TEST, TRAIN))}
