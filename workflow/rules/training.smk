# Training. Requires: corpus, splits, tokens, encoder.
# Makes: results/model/, results/training/{epochs,validation_scores}.parquet, and of these results/training/history.parquet.
#
# Checkpoints are in results/checkpoints/, which no rule declares: Snakemake deletes declared outputs of failed jobs.
# A job whose `runtime` is nearly over saves one and fails; submitted again (the profile's `retries`) it goes on from
# there. The rules for GPUs leave `retries` to the profile; where nothing but the input can be at fault, it is 0.

from ipcascade.core.names import LABELS, MODEL_CARD

MODEL = multiext("results{run}/model/", WEIGHTS, MODEL_CONFIG, LABELS, TOKENIZER, MODEL_CARD)


rule train:
    input:
        encoder=ENCODER,
        tokens=TOKENS,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        label_tree=label_tree,
    output:
        MODEL,
        epochs="results{run}/training/epochs.parquet",
        validation_scores="results{run}/training/validation_scores.parquet",
    log:
        "logs{run}/train.log",
    benchmark:
        "logs{run}/benchmarks/train.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: lambda wildcards: 12 * devices(wildcards)
    resources:
        mem_mb=lambda wildcards: 16000 * devices(wildcards),
        runtime=480,
        gres=lambda wildcards: f"gpu:{devices(wildcards)}",
    params:
        config=run_config,
        encoder=input_folder("encoder"),
        tokens=input_folder("tokens"),
        model=output_folder,
        checkpoints=checkpoints,
        # Of the part that decides the weights: checkpoints belong to it, not to how the model is exported.
        training_code=code_within("train", "training.run"),
        options=options("seed", "training"),
        code=code("train"),
    shell:
        "python -m ipcascade train --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --label-tree={input.label_tree:q} --tokens {params.tokens}"
        " --encoder {params.encoder} --checkpoints {params.checkpoints} --code {params.training_code}"
        " --time-limit {resources.runtime} --model {params.model} --epochs {output.epochs}"
        " --validation-scores {output.validation_scores}"


rule history:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        epochs=shared("train", "results{run}/training/epochs.parquet"),
        validation_scores=shared("train", "results{run}/training/validation_scores.parquet"),
    output:
        "results{run}/training/history.parquet",
    log:
        "logs{run}/history.log",
    benchmark:
        "logs{run}/benchmarks/history.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("history", "training.mask_confidence"),
        code=code("history"),
    shell:
        "python -m ipcascade history --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --epochs {input.epochs}"
        " --validation-scores {input.validation_scores} --history {output}"
