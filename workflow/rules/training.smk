# Training. Requires: corpus, splits, tokens, encoder. Makes: results/model/ and results/training/history.parquet.
# Checkpoints stand in results/checkpoints/, which no rule declares: Snakemake deletes declared outputs of failed jobs.


rule train:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        tokens="results/tokens",
        encoder="results/encoder",
        taxonomy=TAXONOMY,
    output:
        model=directory("results/model"),
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
        checkpoints="results/checkpoints",
        options=options("seed", "training"),
        code=code("train"),
    shell:
        "python -m ipcascade train --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --corpus {input.corpus} --splits {input.splits} --tokens {input.tokens}"
        " --encoder {input.encoder} --code {params.code} --checkpoints {params.checkpoints}"
        " --model {output.model} --history {output.history}"
