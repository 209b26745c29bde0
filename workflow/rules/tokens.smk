# Encoder and tokens. Requires: the corpus, and the hub or a folder for the encoder.
# Makes: results/encoder/ (the only place where a download happens) and results/tokens/.


rule encoder:
    output:
        directory("results/encoder"),
    log:
        "logs/encoder.log",
    conda:
        "../../envs/ipcascade.yaml"
    params:
        options=options("encoder"),
        code=code("encoder"),
    shell:
        "python -m ipcascade encoder --options {params.options:q} --log {log} --folder {output}"


rule tokens:
    input:
        corpus="results/corpus/corpus.parquet",
        encoder="results/encoder",
    output:
        directory("results/tokens"),
    log:
        "logs/tokens.log",
    benchmark:
        "logs/benchmarks/tokens.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=options("tokens"),
        code=code("tokens"),
    shell:
        "python -m ipcascade tokens --options {params.options:q} --threads {threads} --log {log}"
        " --corpus {input.corpus} --encoder {input.encoder} --tokens {output}"
