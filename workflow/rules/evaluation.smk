# Evaluation. Requires: scores, corpus, splits.
# Makes: results/thresholds/thresholds.json, results/metrics/{split}.json, results/analysis/, and the same for further
# runs below results/runs/NAME/; the linear baseline is such a run. Of all together: results/comparison/.

from ipcascade.core.names import ANALYSIS, SCORED_SPLITS, SOURCE_EFFECTS, WORST_DOCUMENTS


rule thresholds:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores=shared("combine", "results{run}/scores/val.parquet"),
    output:
        "results{run}/thresholds/thresholds.json",
    log:
        "logs{run}/thresholds.log",
    benchmark:
        "logs{run}/benchmarks/thresholds.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "thresholds", "decoding"),
        code=code("thresholds"),
    shell:
        "python -m ipcascade thresholds --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits}"
        " --scores {input.scores} --thresholds {output}"


rule metrics:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores=shared("combine", "results{run}/scores/{split}.parquet"),
        thresholds=shared("thresholds", "results{run}/thresholds/thresholds.json"),
    output:
        "results{run}/metrics/{split}.json",
    log:
        "logs{run}/metrics_{split}.log",
    benchmark:
        "logs{run}/benchmarks/metrics_{split}.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "evaluation"),
        code=code("metrics"),
    shell:
        "python -m ipcascade metrics --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --split {wildcards.split}"
        " --scores {input.scores} --thresholds {input.thresholds} --metrics {output}"


rule input_metrics:
    input:
        predictions="results/predictions/{name}.parquet",
        labels=shared("train", f"results{{run}}/model/{LABELS}"),
        thresholds="results/thresholds/thresholds.json",
    output:
        "results/metrics/inputs/{name}.json",
    log:
        "logs/input_metrics_{name}.log",
    benchmark:
        "logs/benchmarks/input_metrics_{name}.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=run_config,
        column=column_of_labels,
        model=input_folder("labels"),
        options=options("seed", "evaluation"),
        code=code("input_metrics"),
    shell:
        "python -m ipcascade input_metrics --config {params.config} --threads {threads} --log {log}"
        " --name {wildcards.name} --column={params.column:q} --predictions {input.predictions}"
        " --model {params.model} --thresholds {input.thresholds} --metrics {output}"


rule analysis:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        val=shared("combine", "results{run}/scores/val.parquet"),
        test=shared("combine", "results{run}/scores/test.parquet"),
        # Its own probabilities, to compare: those of the other sources are none.
        network=where(
            lambda config: uses(config, "network"),
            shared("score", [f"results{{run}}/network/{split}.parquet" for split in SCORED_SPLITS]),
        ),
        thresholds=shared("thresholds", "results{run}/thresholds/thresholds.json"),
    output:
        multiext("results{run}/analysis/", *ANALYSIS),
    log:
        "logs{run}/analysis.log",
    benchmark:
        "logs{run}/benchmarks/analysis.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        analysis=output_folder,
        network=folder_options("network"),
        options=options("seed", "thresholds", "evaluation", "analysis"),
        code=code("analysis"),
    shell:
        "python -m ipcascade analysis --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --val {input.val} --test {input.test}"
        " {params.network} --thresholds {input.thresholds} --analysis {params.analysis}"


rule source_effects:
    input:
        unpack(shared_evidence),
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        network=where(uses_network, shared("score", NETWORK)),
        scores=shared("combine", "results{run}/scores/test.parquet"),
        thresholds=shared("thresholds", "results{run}/thresholds/thresholds.json"),
    output:
        f"results{{run}}/analysis/{SOURCE_EFFECTS}",
    log:
        "logs{run}/source_effects.log",
    benchmark:
        "logs{run}/benchmarks/source_effects.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        config=run_config,
        evidence=folder_options("linear", "neighbours", "network"),
        analysis=output_folder,
        options=options("seed", "evidence", "thresholds", "decoding"),
        code=code("source_effects"),
    shell:
        "python -m ipcascade source_effects --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} {params.evidence} --scores {input.scores}"
        " --thresholds {input.thresholds} --analysis {params.analysis}"


rule costs:
    input:
        # The last that a run comes from: all its jobs have ended.
        files_of_runs("results{run}/thresholds/thresholds.json", "thresholds"),
    output:
        "results/comparison/costs.csv",
    log:
        "logs/costs.log",
    benchmark:
        "logs/benchmarks/costs.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        records=records_of_runs,
        code=code("costs"),
    shell:
        "python -m ipcascade costs --config {params.config} --threads {threads} --log {log}"
        " {params.records} --costs {output}"


rule comparison:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        scores=files_of_runs("results{run}/scores/{split}.parquet", "combine"),
        thresholds=files_of_runs("results{run}/thresholds/thresholds.json", "thresholds"),
        costs="results/comparison/costs.csv",
    output:
        multiext("results/comparison/{split}", ".json", ".csv", ".tex"),
        report(
            "results/comparison/{split}.md",
            category="Tables",
            labels={"table": "comparison", "shows": "runs on {split}"},
        ),
    log:
        "logs/comparison_{split}.log",
    benchmark:
        "logs/benchmarks/comparison_{split}.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        runs=compared,
        options=options("seed", "evaluation"),
        code=code("comparison"),
    shell:
        "python -m ipcascade comparison --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --split {wildcards.split} {params.runs}"
        " --costs {input.costs} --stem {params.stem}"


# On validation, too, where choices are made.
rule runs:
    input:
        expand("results/comparison/{split}.{ending}", split=SCORED_SPLITS, ending=["json", "csv", "md", "tex"]),
        expand("results/figures/figure6.{ending}", ending=["pdf", "png", "svg"]),


rule baseline:
    input:
        expand("results/runs/baseline/metrics/{split}.json", split=["val", "test"]),
