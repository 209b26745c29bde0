# Inference. Requires: the model and the tokens; for new texts also the evidence, the thresholds and tables
# (prediction.inputs). Makes: results/network/{split}.parquet, results/predictions/{name}.parquet (or .csv), {name}.facts.json and
# results/release/, the folder of the model with all that prediction needs.

from ipcascade.core.names import MANIFEST


rule score:
    input:
        tokens=TOKENS,
        model=shared("train", MODEL),
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        scores="results{run}/network/{split}.parquet",
        vectors="results{run}/network/{split}_vectors.safetensors",
    log:
        "logs{run}/score_{split}.log",
    benchmark:
        "logs{run}/benchmarks/score_{split}.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 12
    resources:
        mem_mb=12000,
        runtime=60,
        gres="gpu:1",
    params:
        config=run_config,
        tokens=input_folder("tokens"),
        model=input_folder("model"),
        options=options("scoring"),
        code=code("score"),
    shell:
        "python -m ipcascade score --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --tokens {params.tokens}"
        " --model {params.model} --split {wildcards.split} --scores {output.scores} --vectors {output.vectors}"


rule predict:
    input:
        unpack(shared_evidence),
        model=shared("train", MODEL),
        texts=texts_to_label,
        combiner=shared("combine", COMBINER),
        thresholds="results/thresholds/thresholds.json",
    output:
        "results/predictions/{name}.shares/{number}-of-{jobs}.parquet",
    log:
        "logs/predict_{name}_{number}-of-{jobs}.log",
    benchmark:
        "logs/benchmarks/predict_{name}_{number}-of-{jobs}.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 12
    resources:
        mem_mb=16000,
        runtime=60,
        gres="gpu:1",
    params:
        config=run_config,
        texts=table_to_label,
        model=input_folder("model"),
        evidence=folder_options("linear", "neighbours"),
        options=options(
            "scoring",
            "prediction.neighbours",
            "prediction.layout",
            "prediction.floor",
            "prediction.least_confidence",
            "prediction.least_similarity",
        ),
        code=code("predict"),
    shell:
        "python -m ipcascade predict --config {params.config} --threads {threads} --log {log}"
        " --texts={params.texts:q} --model {params.model} {params.evidence} --combiner {input.combiner}"
        " --thresholds {input.thresholds} --predictions {output} --code {params.code}"
        " --share {wildcards.number}/{wildcards.jobs}"


rule join_predictions:
    input:
        shares_of_texts,
    output:
        "results/predictions/{name}.{ending}",
    log:
        "logs/join_predictions_{name}_{ending}.log",
    benchmark:
        "logs/benchmarks/join_predictions_{name}_{ending}.jsonl"
    wildcard_constraints:
        ending="parquet|csv",
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=run_config,
        code=code("join_predictions"),
    shell:
        "python -m ipcascade join_predictions --config {params.config} --threads {threads} --log {log}"
        " --shares {input} --predictions {output}"


rule prediction_facts:
    input:
        "results/predictions/{name}.parquet",
    output:
        "results/predictions/{name}.facts.json",
    log:
        "logs/prediction_facts_{name}.log",
    benchmark:
        "logs/benchmarks/prediction_facts_{name}.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=run_config,
        options=options("corpus.levels"),
        code=code("prediction_facts"),
    shell:
        "python -m ipcascade prediction_facts --config {params.config} --threads {threads} --log {log}"
        " --predictions {input} --facts {output}"


rule predictions:
    input:
        expand(rules.join_predictions.output, name=CONFIG.prediction.inputs, ending="parquet"),
        expand(rules.prediction_facts.output, name=CONFIG.prediction.inputs),
        expand("results/metrics/inputs/{name}.json", name=CONFIG.prediction.labels),


rule release:
    input:
        unpack(shared_evidence),
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        encoder=f"results/encoder/{ENCODER_FACTS}",
        model=shared("train", MODEL),
        combiner=shared("combine", COMBINER),
        thresholds=shared("thresholds", "results{run}/thresholds/thresholds.json"),
        metrics="results{run}/metrics/test.json",
    output:
        f"results{{run}}/release/{MANIFEST}",
    log:
        "logs{run}/release.log",
    benchmark:
        "logs{run}/benchmarks/release.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=run_config,
        folder=output_folder,
        model=input_folder("model"),
        evidence=folder_options("linear", "neighbours"),
        options=options(*settings.Config.model_fields),
        code=code("release"),
    shell:
        "python -m ipcascade release --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --encoder-facts {input.encoder} --model {params.model}"
        " {params.evidence} --combiner {input.combiner} --thresholds {input.thresholds} --metrics {input.metrics}"
        " --release {params.folder}"
