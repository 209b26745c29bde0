"""Miniature tables of PatentsView for tests, in their published layout: rows in, files on disk out."""

import csv
import io
import zipfile

LONG = "one two three four five six seven eight nine ten"
HEADERS = {
    "g_patent": ["patent_id", "patent_type", "patent_date", "patent_title", "wipo_kind", "num_claims", "withdrawn"],
    "g_application": ["application_id", "patent_id", "patent_application_type", "filing_date", "series_code"],
    "g_patent_abstract": ["patent_id", "patent_abstract"],
    "g_ipc_at_issue": [
        "patent_id", "ipc_sequence", "classification_level", "section", "ipc_class", "subclass", "main_group",
        "subgroup", "symbol_position", "classification_value", "classification_status",
    ],
    "g_cpc_current": ["patent_id", "cpc_sequence", "cpc_section", "cpc_class", "cpc_subclass", "cpc_group", "cpc_type"],
    "g_wipo_technology": ["patent_id", "wipo_field_sequence", "wipo_field_id"],
    "g_us_rel_doc": [
        "patent_id", "related_doc_type", "related_doc_kind", "related_doc_number", "published_country",
        "related_doc_published_date", "related_doc_status", "related_doc_sequence", "wipo_kind",
    ],
    "g_claims_2010": ["patent_id", "claim_sequence", "claim_text", "dependent", "claim_number"],
    "g_claims_2011": ["patent_id", "claim_sequence", "claim_text", "dependent", "claim_number"],
}  # fmt: skip


def patent(id_, **values):
    return {
        "patent_id": id_, "patent_type": "utility", "patent_date": "2010-01-05", "patent_title": f"Title {id_}",
        "wipo_kind": "B2", "num_claims": 2, "withdrawn": 0,
    } | values  # fmt: skip


def filing(id_, number, date="2007-03-04"):
    return {"patent_id": id_, "application_id": number, "filing_date": date, "series_code": number[:2]}


def text(id_, words=LONG):
    return {"patent_id": id_, "patent_abstract": f"{words} {id_}"}


def ipc(id_, symbol="A01B", value="I"):
    return {
        "patent_id": id_, "ipc_sequence": 0, "section": symbol[:1], "ipc_class": symbol[1:3].strip(),
        "subclass": symbol[3:4], "main_group": "1", "subgroup": "02", "classification_value": value,
    }  # fmt: skip


def relation(id_, number, type_="continuation", kind="parent-doc"):
    return {
        "patent_id": id_, "related_doc_type": type_, "related_doc_kind": kind, "related_doc_number": number,
        "published_country": "US", "related_doc_sequence": 0,
    }  # fmt: skip


def small(*ids, **changes):
    tables = {
        "g_patent": [patent(i) for i in ids],
        "g_application": [filing(i, f"11{n:06}") for n, i in enumerate(ids)],
        "g_patent_abstract": [text(i) for i in ids],
        "g_ipc_at_issue": [ipc(i) for i in ids],
        "g_us_rel_doc": [],
    }
    return tables | changes


def write_tables(folder, tables, zipped=True, reverse=False):
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        header = HEADERS[table][::-1] if reverse else HEADERS[table]
        content = io.StringIO()
        writer = csv.writer(content, delimiter="\t", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[row.get(name, "") for name in header] for row in rows])
        encoded = content.getvalue().encode()
        if zipped:
            with zipfile.ZipFile(folder / f"{table}.tsv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{table}.tsv", encoded)
        else:
            (folder / f"{table}.tsv").write_bytes(encoded)
    return folder
