# Prediction. Requires: the model, its thresholds, and tables of new texts (prediction.inputs).
# Makes: results/predictions/{name}.parquet.


def texts_to_label(wildcards):
    if wildcards.name not in CONFIG.prediction.inputs:
        known = ", ".join(CONFIG.prediction.inputs) or "none"
        raise WorkflowError(f"config: prediction.inputs names no table {wildcards.name!r} (there is: {known})")
    return CONFIG.prediction.inputs[wildcards.name]


rule predict:
    input:
        texts=texts_to_label,
        model="results/model",
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
        mem_mb=32000,
        runtime=240,
    params:
        options=options("scoring", "decoding"),
        code=code("predict"),
    shell:
        "python -m ipcascade predict --options {params.options:q} --threads {threads} --log {log}"
        " --texts {input.texts:q} --model {input.model} --thresholds {input.thresholds} --predictions {output}"


rule predictions:
    input:
        expand("results/predictions/{name}.parquet", name=CONFIG.prediction.inputs),
