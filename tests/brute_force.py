"""The corpus of a small delivery by brute force, to compare the package with."""

import unicodedata


def leaf_of(symbol, tree):
    """The longest code that the symbol begins with, if no label is below it."""
    longest = max((code for code in tree.labels if symbol.startswith(code)), key=len, default=None)
    return None if longest is None or tree.index[longest] in tree.parents else longest


def corpus_of(tables, options, tree):
    """Corpus and `left` of every step, by dictionaries and sets, one rule after the other.

    tables: the rows of each table, texts by column, as a CSV has them.
    """
    rows = {
        table: [
            {name: value.rstrip() if name == "ipc_class_symbol" else value.strip() for name, value in row.items()}
            for row in content
        ]
        for table, content in tables.items()
    }

    left = [len(rows["tls201"])]
    kept = {int(row["appln_id"]): row for row in rows["tls201"]}
    year = {i: int(row["appln_filing_year"] or 9999) or 9999 for i, row in kept.items()}
    rules = [
        lambda i, row: 0 < i <= 900_000_000 and row["appln_kind"] not in ("D", "Q", "D2"),
        lambda i, row: row["ipr_type"] in options.ipr_types,
        lambda i, row: options.kinds is None or row["appln_kind"] in options.kinds,
        lambda i, row: options.offices is None or row["appln_auth"] in options.offices,
        lambda i, row: options.first_year is None or (year[i] != 9999 and year[i] >= options.first_year),
        lambda i, row: options.last_year is None or (year[i] != 9999 and year[i] <= options.last_year),
    ]
    for rule in rules:
        kept = {i: row for i, row in kept.items() if rule(i, row)}
        left.append(len(kept))

    labels = {}
    for row in rows["tls209"]:
        i, column = int(row["appln_id"]), tree.index.get(leaf_of(row["ipc_class_symbol"], tree), -1)
        if i in kept and column >= 0 and (options.ipc_values is None or row["ipc_value"] in options.ipc_values):
            while column >= 0:
                labels.setdefault(i, set()).add(column)
                column = tree.parents[column]
    candidates = {i for i in kept if i in labels}
    left.append(len(candidates))
    texts = {int(row["appln_id"]): row for row in rows["tls203"]}
    candidates = {i for i in candidates if i in texts and texts[i]["appln_abstract"]}
    left.append(len(candidates))
    candidates = {i for i in candidates if texts[i]["appln_abstract_lg"] == options.language}
    left.append(len(candidates))
    candidates = {i for i in candidates if len(texts[i]["appln_abstract"].split()) >= options.minimum_words}
    left.append(len(candidates))

    def family(i):
        docdb = int(kept[i]["docdb_family_id"] or 0)
        return docdb if docdb else -i

    def preference(i):
        office = kept[i]["appln_auth"]
        known = options.office_preference
        return (known.index(office) if office in known else len(known), kept[i]["appln_filing_date"] or "9999-12-31", i)

    def plain(text):
        return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())

    def filed(i):
        return (year[i], kept[i]["appln_filing_date"] or "9999-12-31", i)

    families = {}
    for i in candidates:
        families.setdefault(family(i), []).append(i)
    left.append(len(families))

    group = {name: name for name in families}
    by_text = {}
    for i in candidates:
        by_text.setdefault(plain(texts[i]["appln_abstract"]), set()).add(family(i))
    for _ in families:  # as often as the longest chain can be
        for together in by_text.values():
            smallest = min(group[name] for name in together)
            group.update(dict.fromkeys(together, smallest))

    titles = {
        int(row["appln_id"]): row["appln_title"] for row in rows.get("tls202", ()) if row["appln_title_lg"] == "en"
    }
    corpus = []
    for name, members in families.items():
        i = min(members, key=preference)
        if options.family_labels == "union":
            found = set().union(*(labels.get(other, set()) for other in kept if family(other) == name))
        else:
            found = labels[i]
        first = min((other for other in kept if family(other) == name), key=filed)
        text = texts[i]["appln_abstract"]
        words = len(text.split())
        if "title" in options.text and i in titles:
            text = f"{titles[i]}. {text}"
        corpus.append(
            {
                "document_id": str(i),
                "family_id": str(name) if name > 0 else f"appln-{-name}",
                "group_id": str(group[name]) if group[name] > 0 else f"appln-{-group[name]}",
                "office": kept[i]["appln_auth"] or None,
                "kind": kept[i]["appln_kind"] or None,
                "filing_year": None if year[i] == 9999 else year[i],
                "first_filing_year": None if year[first] == 9999 else year[first],
                "first_filing_office": kept[first]["appln_auth"] or None,
                "words": words,
                "text": text,
                **{
                    level: [tree.labels[column] for column in sorted(found) if tree.level_of(column) == level]
                    for level in tree.levels
                },
            }
        )
    return sorted(corpus, key=lambda row: int(row["document_id"])), [*left, len(corpus)]
