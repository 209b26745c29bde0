# Training. Requires: corpus, splits, tokens, encoder. Makes: results/model/ and results/training/history.parquet.
# Checkpoints stand in results/checkpoints/, which no rule declares: Snakemake deletes declared outputs of failed jobs.
# A job whose `runtime` is nearly over saves one and fails; submitted again (a profile's retries) it goes on from there.

MODEL = multiext("results/model/", "model.safetensors", "config.json", "labels.json", "tokenizer.json", "README.md")


rule train:
    input:
        encoder=ENCODER,
        tokens=TOKENS,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        taxonomy=TAXONOMY,
    output:
        MODEL,
        history="results/training/history.parquet",
    log:
        "logs/train.log",
    benchmark:
        "logs/benchmarks/train.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 12 * CONFIG.training.devices
    resources:
        mem_mb=16000 * CONFIG.training.devices,
        runtime=480,
        gres=f"gpu:{CONFIG.training.devices}",
    params:
        encoder=input_folder("encoder"),
        tokens=input_folder("tokens"),
        model=output_folder,
        checkpoints="results/checkpoints",
        options=options("seed", "training"),
        code=code("train"),
    shell:
        "python -m ipcascade train --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits} --tokens {params.tokens}"
        " --encoder {params.encoder} --checkpoints {params.checkpoints} --time-limit {resources.runtime}"
        " --model {params.model} --history {output.history}"
