# Splits. Requires: the corpus. Makes: results/splits/splits.parquet and results/splits/audit.json.


rule splits:
    input:
        corpus="results/corpus/corpus.parquet",
    output:
        splits="results/splits/splits.parquet",
        audit="results/splits/audit.json",
    log:
        "logs/splits.log",
    benchmark:
        "logs/benchmarks/splits.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "splits"),
        code=code("splits"),
    shell:
        "python -m ipcascade splits --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {output.splits} --audit {output.audit}"
