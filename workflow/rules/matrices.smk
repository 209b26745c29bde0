# Matrices. Requires: predictions of new texts (results/predictions/{input}.parquet) and the model's labels.
# Makes: results/matrices/{name}.parquet and .csv (long), {name}_wide.parquet and .csv; the figure matrix_{name}.


rule matrix:
    input:
        predictions=predictions_of_matrix,
        labels=shared("train", f"results{{run}}/model/{LABELS}"),
        concordance=concordance_of_matrix,
        corpus=where_concordance("results/corpus/corpus.parquet"),
        splits=where_concordance("results/splits/splits.parquet"),
        label_tree=label_tree,
    output:
        multiext("results/matrices/{name}", ".parquet", ".csv", "_wide.parquet", "_wide.csv"),
    log:
        "logs/matrix_{name}.log",
    benchmark:
        "logs/benchmarks/matrix_{name}.jsonl"
    wildcard_constraints:
        name="[A-Za-z0-9_-]+(?<!_wide)",
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=run_config,
        model=input_folder("labels"),
        stem=output_stem,
        shares=shares_of_concordance,
        options=options_of_matrix,
        code=code("matrix"),
    shell:
        "python -m ipcascade matrix --config {params.config} --threads {threads} --log {log} --name {wildcards.name}"
        " --predictions {input.predictions} --model {params.model} {params.shares} --label-tree={input.label_tree:q}"
        " --stem {params.stem}"


rule matrix_figure:
    input:
        "results/matrices/{name}.parquet",
    output:
        multiext("results/figures/matrix_{name}", ".pdf", ".svg"),
        report(
            "results/figures/matrix_{name}.png",
            caption="../ipcascade/reporting/captions/matrix.rst",
            category="Matrices",
            labels={"matrix": "{name}"},
        ),
    log:
        "logs/matrix_figure_{name}.log",
    benchmark:
        "logs/benchmarks/matrix_figure_{name}.jsonl"
    wildcard_constraints:
        name="[A-Za-z0-9_-]+(?<!_wide)",
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options_of_matrix,
        figures=options("figures", "corpus.levels"),
        code=code("matrix_figure"),
    shell:
        "python -m ipcascade matrix_figure --config {params.config} --threads {threads} --log {log}"
        " --name {wildcards.name} --matrix {input} --stem {params.stem}"


rule matrices:
    input:
        expand(rules.matrix.output, name=CONFIG.matrices),
        expand(rules.matrix_figure.output, name=CONFIG.matrices),
