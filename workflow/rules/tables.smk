# Tables. Makes: results/tables/table{1,2}.{csv,md,tex}.


rule table1:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        multiext("results/tables/table1", ".csv", ".tex"),
        report("results/tables/table1.md", category="Tables", labels={"table": "1", "shows": "labels by split"}),
    log:
        "logs/table1.log",
    benchmark:
        "logs/benchmarks/table1.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    params:
        stem=output_stem,
        code=code("table1"),
    shell:
        "python -m ipcascade table1 --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --stem {params.stem}"


rule table2:
    input:
        metrics="results/metrics/test.json",
    output:
        multiext("results/tables/table2", ".csv", ".tex"),
        report("results/tables/table2.md", category="Tables", labels={"table": "2", "shows": "performance on test"}),
    log:
        "logs/table2.log",
    benchmark:
        "logs/benchmarks/table2.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    params:
        stem=output_stem,
        code=code("table2"),
    shell:
        "python -m ipcascade table2 --threads {threads} --log {log} --metrics {input.metrics} --stem {params.stem}"


rule tables:
    input:
        expand("results/tables/table{number}.{ending}", number=[1, 2], ending=["csv", "md", "tex"]),
