# Training. Requires: corpus, splits, tokens, encoder. Makes: results/model/ and results/training/history.parquet.
# Checkpoints stand in results/checkpoints/, which no rule declares: Snakemake deletes declared outputs of failed jobs.

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
    threads: 12
    resources:
        mem_mb=32000,
        runtime=1440,
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
        " --encoder {params.encoder} --checkpoints {params.checkpoints}"
        " --model {params.model} --history {output.history}"
