"""Other ways to do what the rule `corpus` does, as one would write them: a DuckDB script, and pandas in chunks.

Each reads a synthetic delivery (flat zips), and writes one row per sampled document with its text and classes. They do
less than the rule: they check nothing, make no groups of families with the same abstract, no funnel, no finer level.
"""

import zipfile
from pathlib import Path
from typing import Any

RIGHT, LANGUAGE, LEAST_WORDS = "PI", "en", 10
OFFICES = ("WO", "EP", "US", "GB", "CA", "AU")
DUMMIES = ("D", "Q", "D2")
LARGEST_ID = 900_000_000
CHUNK_ROWS = 500_000


def duckdb_script(
    delivery: Path, classes: set[str], sample: int, scratch: Path, threads: int, out: Path
) -> dict[str, Any]:
    """SQL over extracted CSVs; DuckDB reads no zips."""
    import duckdb

    files = {table: _extracted(delivery, table, scratch) for table in ("tls201", "tls203", "tls209")}
    base = duckdb.connect(str(scratch / "corpus.duckdb"))
    base.execute(f"SET threads = {threads}; SET memory_limit = '3GB'; SET temp_directory = '{scratch}/spill'")
    base.execute("SET preserve_insertion_order = false")
    base.execute("CREATE TABLE classes (code VARCHAR)")
    base.executemany("INSERT INTO classes VALUES (?)", [(code,) for code in sorted(classes)])
    read = "read_csv({}, header = true, all_varchar = true, quote = '\"', escape = '\"', parallel = true)"
    tables = {table: read.format([str(path) for path in paths]) for table, paths in files.items()}
    base.execute(f"""
        CREATE TABLE appln AS
        SELECT appln_id::INTEGER AS appln_id, trim(appln_auth) AS office, trim(appln_kind) AS kind,
            try_cast(appln_filing_date AS DATE) AS date, try_cast(appln_filing_year AS SMALLINT) AS year,
            coalesce(nullif(docdb_family_id::INTEGER, 0), -appln_id::INTEGER) AS family
        FROM {tables["tls201"]}
        WHERE trim(ipr_type) = '{RIGHT}' AND trim(appln_kind) NOT IN {DUMMIES}
            AND appln_id::INTEGER BETWEEN 1 AND {LARGEST_ID}""")
    base.execute(f"""
        CREATE TABLE labels AS
        SELECT DISTINCT symbols.appln_id::INTEGER AS appln_id, substr(ipc_class_symbol, 1, 3) AS code
        FROM {tables["tls209"]} AS symbols SEMI JOIN classes ON substr(ipc_class_symbol, 1, 3) = classes.code
        SEMI JOIN appln ON symbols.appln_id::INTEGER = appln.appln_id""")
    base.execute(f"""
        CREATE TABLE texts AS
        SELECT abstracts.appln_id::INTEGER AS appln_id, trim(appln_abstract) AS text,
            hash(lower(regexp_replace(appln_abstract, '[^\\pL\\pN]+', '', 'g'))) AS text_hash
        FROM {tables["tls203"]} AS abstracts
        SEMI JOIN (SELECT DISTINCT appln_id FROM labels) AS labelled
            ON abstracts.appln_id::INTEGER = labelled.appln_id
        WHERE trim(appln_abstract_lg) = '{LANGUAGE}'
            AND len(string_split_regex(trim(appln_abstract), '\\s+')) >= {LEAST_WORDS}""")
    rank = " ".join(f"WHEN '{office}' THEN {place}" for place, office in enumerate(OFFICES))
    base.execute(f"""
        CREATE TABLE representatives AS
        SELECT appln_id, family, office, kind, year FROM appln SEMI JOIN texts USING (appln_id)
        QUALIFY row_number() OVER (
            PARTITION BY family ORDER BY CASE office {rank} ELSE {len(OFFICES)} END, date NULLS LAST, appln_id) = 1""")
    base.execute(f"CREATE TABLE sample AS SELECT * FROM representatives ORDER BY hash(appln_id) LIMIT {sample}")
    base.execute(f"""
        COPY (
            SELECT sample.*, text, text_hash, codes
            FROM sample JOIN texts USING (appln_id)
            JOIN (
                SELECT family, list(DISTINCT code ORDER BY code) AS codes
                FROM labels JOIN appln USING (appln_id) SEMI JOIN sample USING (family) GROUP BY family
            ) AS of_families USING (family) ORDER BY appln_id
        ) TO '{out}' (FORMAT parquet, COMPRESSION zstd)""")
    ((documents,),) = base.execute("SELECT count(*) FROM representatives").fetchall()
    return {"documents": documents}


def pandas_script(
    delivery: Path, classes: set[str], sample: int, scratch: Path, threads: int, out: Path
) -> dict[str, Any]:
    """Chunks of CSVs read out of the zips, filtered, put together, merged."""
    import pandas as pd

    applications = []
    for chunk in _chunks(delivery, "tls201", ["appln_id", "appln_auth", "appln_kind", "appln_filing_date",
                                             "appln_filing_year", "ipr_type", "docdb_family_id"]):  # fmt: skip
        ids = chunk["appln_id"].astype("int32")
        keep = (chunk["ipr_type"].str.strip() == RIGHT) & ~chunk["appln_kind"].str.strip().isin(DUMMIES)
        kept = chunk[keep & (ids > 0) & (ids <= LARGEST_ID)]
        family = kept["docdb_family_id"].astype("int32")
        applications.append(
            pd.DataFrame(
                {
                    "appln_id": kept["appln_id"].astype("int32"),
                    "office": kept["appln_auth"].str.strip().astype("category"),
                    "kind": kept["appln_kind"].str.strip().astype("category"),
                    "date": pd.to_datetime(kept["appln_filing_date"], errors="coerce", format="%Y-%m-%d"),
                    "year": kept["appln_filing_year"].astype("int16"),
                    "family": family.where(family > 0, -kept["appln_id"].astype("int32")),
                }
            )
        )
    appln = pd.concat(applications, ignore_index=True)
    known = set(appln["appln_id"])
    labels = []
    for chunk in _chunks(delivery, "tls209", ["appln_id", "ipc_class_symbol"]):
        found = pd.DataFrame({"appln_id": chunk["appln_id"].astype("int32"), "code": chunk["ipc_class_symbol"].str[:3]})
        labels.append(found[found["code"].isin(classes) & found["appln_id"].isin(known)].drop_duplicates())
    label = pd.concat(labels, ignore_index=True).drop_duplicates()
    labelled = set(label["appln_id"])
    texts = []
    for chunk in _chunks(delivery, "tls203", ["appln_id", "appln_abstract_lg", "appln_abstract"]):
        ids = chunk["appln_id"].astype("int32")
        chunk = chunk[ids.isin(labelled) & (chunk["appln_abstract_lg"].str.strip() == LANGUAGE)]
        text = chunk["appln_abstract"].str.strip()
        text = text[text.str.split().str.len() >= LEAST_WORDS]
        plain = text.str.lower().str.replace(r"[\W_]+", "", regex=True)
        texts.append(
            pd.DataFrame(
                {
                    "appln_id": chunk["appln_id"].astype("int32").loc[text.index], "text": text,
                    "text_hash": pd.util.hash_pandas_object(plain, index=False),
                }
            )
        )  # fmt: skip
    text = pd.concat(texts, ignore_index=True)
    candidates = appln[appln["appln_id"].isin(set(text["appln_id"]))].copy()
    places = {office: place for place, office in enumerate(OFFICES)}
    candidates["rank"] = candidates["office"].astype(str).map(places).fillna(len(OFFICES))
    representatives = candidates.sort_values(["rank", "date", "appln_id"], na_position="last").drop_duplicates("family")
    chosen = representatives.sample(min(sample, len(representatives)), random_state=1)
    members = appln.loc[appln["family"].isin(set(chosen["family"])), ["appln_id", "family"]]
    codes = label.merge(members, on="appln_id").groupby("family")["code"].agg(lambda values: sorted(set(values)))
    chosen = chosen.merge(text, on="appln_id").merge(codes.rename("codes"), left_on="family", right_index=True)
    chosen.sort_values("appln_id").drop(columns=["rank"]).to_parquet(out, compression="zstd")
    return {"documents": len(representatives)}


def _chunks(delivery: Path, table: str, columns: list[str]) -> Any:
    import pandas as pd

    for path in sorted(delivery.glob(f"{table}_*.zip")):
        yield from pd.read_csv(path, compression="zip", usecols=columns, dtype=str, chunksize=CHUNK_ROWS,
                               keep_default_na=False)  # fmt: skip


def _extracted(delivery: Path, table: str, scratch: Path) -> list[Path]:
    found = []
    for path in sorted(delivery.glob(f"{table}_*.zip")):
        with zipfile.ZipFile(path) as archive:
            found += [Path(archive.extract(name, scratch / "csv")) for name in archive.namelist()]
    return found
