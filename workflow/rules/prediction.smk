# Prediction. Requires: the model, its thresholds, and tables of new texts (prediction.inputs).
# Makes: results/predictions/{name}.parquet.


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
        model=input_folder("model"),
        options=options("scoring"),
        code=code("predict"),
    shell:
        "python -m ipcascade predict --options {params.options:q} --threads {threads} --log {log}"
        " --texts {input.texts:q} --model {params.model} --thresholds {input.thresholds} --predictions {output}"


rule predictions:
    input:
        expand("results/predictions/{name}.parquet", name=CONFIG.prediction.inputs),
