# Corpus. Requires: the source (source.path), or nothing for the synthetic delivery; the label tree.
# Makes: results/corpus/corpus.parquet, which carries the label tree, and results/corpus/funnel.json; where all texts of
# the source are to be labelled, results/delivery_texts.parquet.

from ipcascade.core.names import DELIVERY_TEXTS


rule demo_delivery:
    input:
        label_tree=label_tree,
        # Its words and sentences, which the command reads as package data.
        text=words_of_demo,
    output:
        expand("results/delivery/{name}", name=demo.DELIVERY_FILES),
    log:
        "logs/demo_delivery.log",
    benchmark:
        "logs/benchmarks/demo_delivery.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        folder=output_folder,
        options=options("seed", "source.demo"),
        code=code("demo_delivery"),
    shell:
        "python -m ipcascade demo_delivery --config {params.config} --threads {threads} --log {log}"
        " --label-tree={input.label_tree:q} --folder {params.folder}"


rule demo_projects:
    input:
        label_tree=label_tree,
        text=words_of_demo,
    output:
        demo.PROJECTS,
    log:
        "logs/demo_projects.log",
    benchmark:
        "logs/benchmarks/demo_projects.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        options=options("seed", "source.demo"),
        code=code("demo_projects"),
    shell:
        "python -m ipcascade demo_projects --config {params.config} --threads {threads} --log {log}"
        " --label-tree={input.label_tree:q} --projects {output}"


rule corpus:
    input:
        source=files_of_source,
        label_tree=label_tree,
        renamed_codes=renamed_codes,
    output:
        corpus="results/corpus/corpus.parquet",
        funnel="results/corpus/funnel.json",
        quarantine="results/corpus/quarantine.csv",
    log:
        "logs/corpus.log",
    benchmark:
        "logs/benchmarks/corpus.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        config=run_config,
        source=source_path,
        options=options("seed", "corpus", "source.table", "source.postgres", "source.malformed_share"),
        code=code_of_reading("corpus"),
    shell:
        "python -m ipcascade corpus --config {params.config} --threads {threads} --log {log}"
        " --source={params.source:q} --label-tree={input.label_tree:q}"
        " --corpus {output.corpus} --funnel {output.funnel} --quarantine {output.quarantine}"


rule delivery_texts:
    input:
        source=files_of_source,
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        DELIVERY_TEXTS,
    log:
        "logs/delivery_texts.log",
    benchmark:
        "logs/benchmarks/delivery_texts.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        config=run_config,
        source=source_path,
        options=options(
            "corpus.ipr_types",
            "corpus.kinds",
            "corpus.offices",
            "corpus.first_year",
            "corpus.last_year",
            "corpus.language",
            "corpus.minimum_words",
            "corpus.text",
            "corpus.most_words",
            "corpus.classification",
            "source.table",
            "source.postgres",
            "source.malformed_share",
        ),
        code=code_of_reading("delivery_texts"),
    shell:
        "python -m ipcascade delivery_texts --config {params.config} --threads {threads} --log {log}"
        " --source={params.source:q} --corpus {input.corpus} --splits {input.splits} --texts {output}"
