# Evaluation. Requires: scores, corpus, splits.
# Makes: results/thresholds/thresholds.json, results/metrics/{split}.json, and the same for further runs below
# results/runs/NAME/; the linear baseline is such a run.


rule thresholds:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores=shared("combine", "results{run}/scores/val.parquet"),
    output:
        "results{run}/thresholds/thresholds.json",
    log:
        "logs{run}/thresholds.log",
    benchmark:
        "logs{run}/benchmarks/thresholds.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "thresholds", "decoding"),
        code=code("thresholds"),
    shell:
        "python -m ipcascade thresholds --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits}"
        " --scores {input.scores} --thresholds {output}"


rule metrics:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores=shared("combine", "results{run}/scores/{split}.parquet"),
        thresholds=shared("thresholds", "results{run}/thresholds/thresholds.json"),
    output:
        "results{run}/metrics/{split}.json",
    log:
        "logs{run}/metrics_{split}.log",
    benchmark:
        "logs{run}/benchmarks/metrics_{split}.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "evaluation"),
        code=code("metrics"),
    shell:
        "python -m ipcascade metrics --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --split {wildcards.split}"
        " --scores {input.scores} --thresholds {input.thresholds} --metrics {output}"


rule baseline:
    input:
        expand("results/runs/baseline/metrics/{split}.json", split=["val", "test"]),
