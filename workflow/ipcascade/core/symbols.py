"""Which label of a tree a classification symbol leads to."""

from ipcascade.core.label_tree import LabelTree


def leaf_of(symbol: str, tree: LabelTree) -> int | None:
    """As `LabelTree.leaf_of`, but None for a symbol that goes on where the code ends within a word or a number.

    So 3 is no code of 36, nor is chem of chemistry.
    """
    leaf = tree.leaf_of(symbol)
    if leaf is None:
        return None
    return leaf if ends_at(symbol, len(tree.labels[leaf])) else None


def ends_at(symbol: str, length: int) -> bool:
    """Whether a code of so many characters, which a symbol begins with, ends there: not within a word or a number."""
    joint = symbol[length - 1 : length + 1]
    return len(joint) < 2 or not (joint.isdigit() or joint.isalpha())
