# Encoder and tokens. Requires: the corpus, and the hub or a folder for the encoder.
# Makes: results/encoder/ (the only place where a download happens) and results/tokens/.
#
# Folders are declared file by file: of a directory() Snakemake knows only the times, so that touching a file in it, as
# copying results does, would run all rules that read it.

from ipcascade.core.names import ENCODER_FACTS, MODEL_CONFIG, TOKEN_FACTS, TOKEN_IDS, TOKEN_OFFSETS, TOKENIZER, WEIGHTS

ENCODER = multiext("results/encoder/", MODEL_CONFIG, WEIGHTS, TOKENIZER, ENCODER_FACTS)
TOKENS = multiext("results/tokens/", TOKEN_IDS, TOKEN_OFFSETS, TOKEN_FACTS)


rule encoder:
    input:
        no_file_but_a_checked_encoder,
    output:
        ENCODER,
    log:
        "logs/encoder.log",
    benchmark:
        "logs/benchmarks/encoder.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    params:
        config=run_config,
        folder=output_folder,
        options=options("encoder", "tokens.max_length"),
        code=code("encoder"),
    shell:
        "python -m ipcascade encoder --config {params.config} --threads {threads} --log {log}"
        " --folder {params.folder}"


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
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        encoder=input_folder("encoder"),
        tokens=output_folder,
        options=options("tokens"),
        code=code("tokens"),
    shell:
        "python -m ipcascade tokens --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --encoder {params.encoder} --tokens {params.tokens}"
