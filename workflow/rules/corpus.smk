# Corpus. Requires: a PATSTAT delivery (source.path), or nothing for the synthetic one.
# Makes: results/corpus/corpus.parquet and results/corpus/funnel.json.


rule demo_delivery:
    input:
        taxonomy=TAXONOMY,
        # Its words and sentences, which the step reads as package data.
        text=os.path.relpath(WORKFLOW / "ipcascade/data/demo_text.tsv"),
    output:
        expand("results/delivery/{name}", name=DELIVERY_FILES),
    log:
        "logs/demo_delivery.log",
    benchmark:
        "logs/benchmarks/demo_delivery.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        folder=output_folder,
        options=options("seed", "source"),
        code=code("demo_delivery"),
    shell:
        "python -m ipcascade demo_delivery --options {params.options:q} --threads {threads} --log {log}"
        " --taxonomy {input.taxonomy:q} --folder {params.folder}"


rule corpus:
    input:
        files_of_delivery,
        taxonomy=TAXONOMY,
    output:
        corpus="results/corpus/corpus.parquet",
        funnel="results/corpus/funnel.json",
    log:
        "logs/corpus.log",
    benchmark:
        "logs/benchmarks/corpus.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    threads: 2
    resources:
        mem_mb=64000,
        runtime=240,
    params:
        delivery=DELIVERY,
        options=options("seed", "corpus"),
        code=code("corpus"),
    shell:
        "python -m ipcascade corpus --options {params.options:q} --threads {threads} --log {log}"
        " --delivery {params.delivery:q} --taxonomy {input.taxonomy:q}"
        " --corpus {output.corpus} --funnel {output.funnel}"
