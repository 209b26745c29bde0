# Training. Requires: corpus, splits, tokens, encoder.
# Makes: results/model/, results/training/{epochs,validation_scores}.parquet, and of these results/training/history.parquet.
#
# Checkpoints are in results/checkpoints/, which no rule declares: Snakemake deletes declared outputs of failed jobs.
# A job whose `runtime` is nearly over saves one and fails; submitted again (the profile's `retries`) it goes on from
# there. The rules for GPUs leave `retries` to the profile; where nothing but the input can be at fault, it is 0.

from ipcascade.core.names import LABELS, MODEL_CARD

MODEL = multiext("results/model/", WEIGHTS, MODEL_CONFIG, LABELS, TOKENIZER, MODEL_CARD)


rule train:
    input:
        encoder=ENCODER,
        tokens=TOKENS,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        MODEL,
        epochs="results/training/epochs.parquet",
        validation_scores="results/training/validation_scores.parquet",
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
        config=RUN_CONFIG,
        encoder=input_folder("encoder"),
        tokens=input_folder("tokens"),
        model=output_folder,
        checkpoints="results/checkpoints",
        # Of the part that decides the weights: checkpoints belong to it, not to how the model is exported.
        training_code=code_within("train", "training.run"),
        options=options("seed", "training"),
        code=code("train"),
    shell:
        "python -m ipcascade train --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --tokens {params.tokens}"
        " --encoder {params.encoder} --checkpoints {params.checkpoints} --code {params.training_code}"
        " --time-limit {resources.runtime} --model {params.model} --epochs {output.epochs}"
        " --validation-scores {output.validation_scores}"


rule history:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        epochs="results/training/epochs.parquet",
        validation_scores="results/training/validation_scores.parquet",
    output:
        "results/training/history.parquet",
    log:
        "logs/history.log",
    benchmark:
        "logs/benchmarks/history.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=RUN_CONFIG,
        options=options("history", "training.mask_confidence"),
        code=code("history"),
    shell:
        "python -m ipcascade history --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --epochs {input.epochs}"
        " --validation-scores {input.validation_scores} --history {output}"
