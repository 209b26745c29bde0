# Evidence. Requires: the network's scores and vectors, corpus, splits.
# Makes: results/linear/ (the linear model), results/neighbours/ (vectors and labels of the training documents) and, of
# all sources together, results/evidence/combiner.json and results/scores/{split}.parquet.

from ipcascade.core.names import INDEXED_DOCUMENTS, LINEAR_WEIGHTS, SCORED_SPLITS, VECTORS, VOCABULARY

LINEAR = multiext("results{run}/linear/", LINEAR_WEIGHTS, VOCABULARY)
NEIGHBOURS = multiext("results{run}/neighbours/", VECTORS, INDEXED_DOCUMENTS)
COMBINER = "results{run}/evidence/combiner.json"
NETWORK = [
    f"results{{run}}/network/{split}{ending}"
    for split in SCORED_SPLITS
    for ending in (".parquet", "_vectors.safetensors")
]


rule fit_linear:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        label_tree=label_tree,
    output:
        LINEAR,
    log:
        "logs{run}/fit_linear.log",
    benchmark:
        "logs{run}/benchmarks/fit_linear.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=run_config,
        folder=output_folder,
        options=options("seed", "evidence.linear"),
        code=code("fit_linear"),
    shell:
        "python -m ipcascade fit_linear --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --label-tree={input.label_tree:q} --linear {params.folder}"


rule index_neighbours:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        vectors=shared("score", "results{run}/network/train_vectors.safetensors"),
    output:
        NEIGHBOURS,
    log:
        "logs{run}/index_neighbours.log",
    benchmark:
        "logs{run}/benchmarks/index_neighbours.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=run_config,
        folder=output_folder,
        code=code("index_neighbours"),
    shell:
        "python -m ipcascade index_neighbours --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --vectors {input.vectors} --neighbours {params.folder}"


rule combine:
    input:
        unpack(shared_evidence),
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        network=where(uses_network, shared("score", NETWORK)),
    output:
        combiner=COMBINER,
        val="results{run}/scores/val.parquet",
        test="results{run}/scores/test.parquet",
    log:
        "logs{run}/combine.log",
    benchmark:
        "logs{run}/benchmarks/combine.jsonl"
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
        scores=lambda wildcards, output: os.path.dirname(output.val),
        options=options("seed", "evidence"),
        code=code("combine"),
    shell:
        "python -m ipcascade combine --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} {params.evidence}"
        " --combiner {output.combiner} --scores {params.scores}"
