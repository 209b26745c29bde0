# Evaluation. Requires: model, tokens, corpus, splits.
# Makes: results/scores/{split}.parquet, results/thresholds/thresholds.json, results/metrics/{split}.json,
# and the same for the linear baseline below results/runs/baseline/.


rule score:
    input:
        tokens=TOKENS,
        model=MODEL,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        taxonomy=TAXONOMY,
    output:
        "results/scores/{split}.parquet",
    log:
        "logs/score_{split}.log",
    benchmark:
        "logs/benchmarks/score_{split}.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 12
    resources:
        mem_mb=12000,
        runtime=60,
        gres="gpu:1",
    params:
        tokens=input_folder("tokens"),
        model=input_folder("model"),
        options=options("scoring"),
        code=code("score"),
    shell:
        "python -m ipcascade score --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits} --tokens {params.tokens}"
        " --model {params.model} --split {wildcards.split} --scores {output}"


rule fit_baseline:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        taxonomy=TAXONOMY,
    output:
        val="results/runs/baseline/scores/val.parquet",
        test="results/runs/baseline/scores/test.parquet",
    log:
        "logs/baseline.log",
    benchmark:
        "logs/benchmarks/baseline.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=options("seed", "baseline"),
        code=code("baseline"),
    shell:
        "python -m ipcascade baseline --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits}"
        " --val {output.val} --test {output.test}"


rule thresholds:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores="results{run}/scores/val.parquet",
        taxonomy=TAXONOMY,
    output:
        "results{run}/thresholds/thresholds.json",
    log:
        "logs{run}/thresholds.log",
    benchmark:
        "logs{run}/benchmarks/thresholds.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("seed", "thresholds", "decoding"),
        code=code("thresholds"),
    shell:
        "python -m ipcascade thresholds --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits}"
        " --scores {input.scores} --thresholds {output}"


rule metrics:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores="results{run}/scores/{split}.parquet",
        thresholds="results{run}/thresholds/thresholds.json",
        taxonomy=TAXONOMY,
    output:
        "results{run}/metrics/{split}.json",
    log:
        "logs{run}/metrics_{split}.log",
    benchmark:
        "logs{run}/benchmarks/metrics_{split}.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("seed", "evaluation"),
        code=code("metrics"),
    shell:
        "python -m ipcascade metrics --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits} --split {wildcards.split}"
        " --scores {input.scores} --thresholds {input.thresholds} --metrics {output}"


rule baseline:
    input:
        expand("results/runs/baseline/metrics/{split}.json", split=["val", "test"]),
