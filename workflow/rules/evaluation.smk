# Evaluation. Requires: scores, corpus, splits.
# Makes: results/thresholds/thresholds.json, results/metrics/{split}.json, results/analysis/, and the same for the linear
# baseline below results/runs/baseline/.

from ipcascade.core.names import ANALYSIS


rule fit_baseline:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        val="results/runs/baseline/scores/val.parquet",
        test="results/runs/baseline/scores/test.parquet",
    log:
        "logs/fit_baseline.log",
    benchmark:
        "logs/benchmarks/fit_baseline.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=RUN_CONFIG,
        options=options("seed", "baseline"),
        code=code("fit_baseline"),
    shell:
        "python -m ipcascade fit_baseline --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits}"
        " --val {output.val} --test {output.test}"


rule thresholds:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores="results{run}/scores/val.parquet",
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
        config=RUN_CONFIG,
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
        scores="results{run}/scores/{split}.parquet",
        thresholds="results{run}/thresholds/thresholds.json",
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
        config=RUN_CONFIG,
        options=options("seed", "evaluation"),
        code=code("metrics"),
    shell:
        "python -m ipcascade metrics --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --split {wildcards.split}"
        " --scores {input.scores} --thresholds {input.thresholds} --metrics {output}"


rule analysis:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        val="results{run}/scores/val.parquet",
        test="results{run}/scores/test.parquet",
        thresholds="results{run}/thresholds/thresholds.json",
    output:
        multiext("results{run}/analysis/", *ANALYSIS),
    log:
        "logs{run}/analysis.log",
    benchmark:
        "logs{run}/benchmarks/analysis.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=RUN_CONFIG,
        analysis=output_folder,
        options=options("analysis"),
        code=code("analysis"),
    shell:
        "python -m ipcascade analysis --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --val {input.val} --test {input.test}"
        " --thresholds {input.thresholds} --analysis {params.analysis}"


rule baseline:
    input:
        expand("results/runs/baseline/metrics/{split}.json", split=["val", "test"]),
