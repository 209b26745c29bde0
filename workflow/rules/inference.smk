# Inference. Requires: the model and the tokens; for new texts the thresholds and tables (prediction.inputs).
# Makes: results/scores/{split}.parquet and results/predictions/{name}.parquet.


rule score:
    input:
        tokens=TOKENS,
        model=MODEL,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
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
        config=RUN_CONFIG,
        tokens=input_folder("tokens"),
        model=input_folder("model"),
        options=options("scoring"),
        code=code("score"),
    shell:
        "python -m ipcascade score --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --tokens {params.tokens}"
        " --model {params.model} --split {wildcards.split} --scores {output}"


rule predict:
    input:
        model=MODEL,
        texts=texts_to_label,
        thresholds="results/thresholds/thresholds.json",
    output:
        "results/predictions/{name}.parquet",
    log:
        "logs/predict_{name}.log",
    benchmark:
        "logs/benchmarks/predict_{name}.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 12
    resources:
        mem_mb=16000,
        runtime=60,
        gres="gpu:1",
    params:
        config=RUN_CONFIG,
        model=input_folder("model"),
        options=options("scoring"),
        code=code("predict"),
    shell:
        "python -m ipcascade predict --config {params.config} --threads {threads} --log {log}"
        " --texts={input.texts:q} --model {params.model} --thresholds {input.thresholds} --predictions {output}"


rule predictions:
    input:
        expand(rules.predict.output, name=CONFIG.prediction.inputs),
