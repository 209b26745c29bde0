# Splits. Requires: the corpus. Makes: results/splits/splits.parquet and results/splits/audit.json.


rule splits:
    input:
        corpus="results/corpus/corpus.parquet",
        taxonomy=TAXONOMY,
    output:
        splits="results/splits/splits.parquet",
        audit="results/splits/audit.json",
    log:
        "logs/splits.log",
    benchmark:
        "logs/benchmarks/splits.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=options("seed", "splits"),
        code=code("splits"),
    shell:
        "python -m ipcascade splits --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {output.splits} --audit {output.audit}"
