# Figures. Makes: results/figures/figure{1,2,3}.{pdf,png,svg}.


rule figure1:
    input:
        corpus="results/corpus/corpus.parquet",
    output:
        multiext("results/figures/figure1", ".pdf", ".svg"),
        report(
            "results/figures/figure1.png",
            caption="../report/figure1.rst",
            category="Figures",
            labels={"figure": "1", "shows": "corpus statistics"},
        ),
    log:
        "logs/figure1.log",
    benchmark:
        "logs/benchmarks/figure1.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stem=output_stem,
        options=options("figures"),
        code=code("figure1"),
    shell:
        "python -m ipcascade figure1 --options {params.options:q} --threads {threads} --log {log}"
        " --corpus {input.corpus} --stem {params.stem}"


rule figure2:
    input:
        funnel="results/corpus/funnel.json",
        splits="results/splits/splits.parquet",
        taxonomy=TAXONOMY,
    output:
        multiext("results/figures/figure2", ".pdf", ".svg"),
        report(
            "results/figures/figure2.png",
            caption="../report/figure2.rst",
            category="Figures",
            labels={"figure": "2", "shows": "workflow"},
        ),
    log:
        "logs/figure2.log",
    benchmark:
        "logs/benchmarks/figure2.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stem=output_stem,
        options=options(*settings.Config.model_fields),
        code=code("figure2"),
    shell:
        "python -m ipcascade figure2 --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --funnel {input.funnel} --splits {input.splits} --stem {params.stem}"


rule figure3:
    input:
        history="results/training/history.parquet",
    output:
        multiext("results/figures/figure3", ".pdf", ".svg"),
        report(
            "results/figures/figure3.png",
            caption="../report/figure3.rst",
            category="Figures",
            labels={"figure": "3", "shows": "training curves"},
        ),
    log:
        "logs/figure3.log",
    benchmark:
        "logs/benchmarks/figure3.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stem=output_stem,
        options=options("figures"),
        code=code("figure3"),
    shell:
        "python -m ipcascade figure3 --options {params.options:q} --threads {threads} --log {log}"
        " --history {input.history} --stem {params.stem}"


rule figures:
    input:
        expand("results/figures/figure{number}.{ending}", number=[1, 2, 3], ending=["pdf", "png", "svg"]),
