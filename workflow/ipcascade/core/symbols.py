"""Which label of a tree a classification symbol leads to."""

from ipcascade.core.label_tree import LabelTree


def leaf_of(symbol: str, tree: LabelTree) -> int | None:
    """As `LabelTree.leaf_of`, but None for a symbol that goes on where the code ends within a word or a number.

    So 3 is no code of 36, nor is chem of chemistry.
    """
    leaf = tree.leaf_of(symbol)
    if leaf is None:
        return None
    code = tree.labels[leaf]
    joint = symbol[len(code) - 1 : len(code) + 1]
    return None if len(joint) == 2 and (joint.isdigit() or joint.isalpha()) else leaf
