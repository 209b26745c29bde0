# Encoder and tokens. Requires: the corpus, and the hub or a folder for the encoder.
# Makes: results/encoder/ (the only place where a download happens) and results/tokens/.
#
# Folders are declared file by file: of a directory() Snakemake knows only the times, so that touching a file in it, as
# copying results does, would run all that reads it.

ENCODER = multiext("results/encoder/", "config.json", "model.safetensors", "tokenizer.json", "encoder.json")
TOKENS = multiext("results/tokens/", "ids.bin", "offsets.npy", "tokens.json")


rule encoder:
    output:
        ENCODER,
    log:
        "logs/encoder.log",
    benchmark:
        "logs/benchmarks/encoder.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    params:
        folder=output_folder,
        options=options("encoder"),
        code=code("encoder"),
    shell:
        "python -m ipcascade encoder --options {params.options:q} --log {log} --folder {params.folder}"


rule tokens:
    input:
        encoder=ENCODER,
        corpus="results/corpus/corpus.parquet",
    output:
        TOKENS,
    log:
        "logs/tokens.log",
    benchmark:
        "logs/benchmarks/tokens.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        encoder=input_folder("encoder"),
        tokens=output_folder,
        options=options("tokens"),
        code=code("tokens"),
    shell:
        "python -m ipcascade tokens --options {params.options:q} --threads {threads} --log {log}"
        " --corpus {input.corpus} --encoder {params.encoder} --tokens {params.tokens}"
