# Reporting. Requires: corpus, splits, metrics, analysis, history; for the report also predictions and matrices.
# Makes: results/tables/table{1,2,3}.{csv,md,tex}, results/figures/figure{1,2,3,4,5,7}.{pdf,png,svg} and
# results/report/index.html, results/paper/{numbers,captions}.tex; for others results/crate/.


rule table1:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
    output:
        multiext("results/tables/table1", ".csv", ".tex"),
        report(
            "results/tables/table1.md",
            category="Tables",
            labels={"table": "1", "shows": "labels by split"},
        ),
    log:
        "logs/table1.log",
    benchmark:
        "logs/benchmarks/table1.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        code=code("table1"),
    shell:
        "python -m ipcascade table1 --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --stem {params.stem}"


rule table2:
    input:
        metrics="results/metrics/test.json",
    output:
        multiext("results/tables/table2", ".csv", ".tex"),
        report(
            "results/tables/table2.md",
            category="Tables",
            labels={"table": "2", "shows": "performance on test"},
        ),
    log:
        "logs/table2.log",
    benchmark:
        "logs/benchmarks/table2.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        code=code("table2"),
    shell:
        "python -m ipcascade table2 --config {params.config} --threads {threads} --log {log}"
        " --metrics {input.metrics} --stem {params.stem}"


rule table3:
    input:
        funnel="results/corpus/funnel.json",
    output:
        multiext("results/tables/table3", ".csv", ".tex"),
        report(
            "results/tables/table3.md",
            category="Tables",
            labels={"table": "3", "shows": "from the source to the corpus"},
        ),
    log:
        "logs/table3.log",
    benchmark:
        "logs/benchmarks/table3.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        code=code("table3"),
    shell:
        "python -m ipcascade table3 --config {params.config} --threads {threads} --log {log}"
        " --funnel {input.funnel} --stem {params.stem}"


rule tables:
    input:
        expand("results/tables/table{number}.{ending}", number=[1, 2, 3], ending=["csv", "md", "tex"]),


rule figure1:
    input:
        corpus="results/corpus/corpus.parquet",
    output:
        multiext("results/figures/figure1", ".pdf", ".svg"),
        report(
            "results/figures/figure1.png",
            caption="../ipcascade/reporting/captions/figure1.rst",
            category="Figures",
            labels={"figure": "1", "shows": "corpus statistics"},
        ),
    log:
        "logs/figure1.log",
    benchmark:
        "logs/benchmarks/figure1.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure1"),
    shell:
        "python -m ipcascade figure1 --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --stem {params.stem}"


rule figure2:
    input:
        corpus="results/corpus/corpus.parquet",
        splits="results/splits/splits.parquet",
        label_tree=label_tree,
    output:
        multiext("results/figures/figure2", ".pdf", ".svg"),
        report(
            "results/figures/figure2.png",
            caption="../ipcascade/reporting/captions/figure2.rst",
            category="Figures",
            labels={"figure": "2", "shows": "workflow"},
        ),
    log:
        "logs/figure2.log",
    benchmark:
        "logs/benchmarks/figure2.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options(*settings.Config.model_fields),
        code=code("figure2"),
    shell:
        "python -m ipcascade figure2 --config {params.config} --threads {threads} --log {log}"
        " --corpus {input.corpus} --splits {input.splits} --label-tree={input.label_tree:q}"
        " --stem {params.stem}"


rule figure3:
    input:
        history="results/training/history.parquet",
    output:
        multiext("results/figures/figure3", ".pdf", ".svg"),
        report(
            "results/figures/figure3.png",
            caption="../ipcascade/reporting/captions/figure3.rst",
            category="Figures",
            labels={"figure": "3", "shows": "training curves"},
        ),
    log:
        "logs/figure3.log",
    benchmark:
        "logs/benchmarks/figure3.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure3"),
    shell:
        "python -m ipcascade figure3 --config {params.config} --threads {threads} --log {log}"
        " --history {input.history} --stem {params.stem}"


rule figure4:
    input:
        reliability="results/analysis/reliability.csv",
        calibration="results/analysis/calibration.csv",
        risk_coverage="results/analysis/risk_coverage.csv",
        levels="results/analysis/levels.csv",
    output:
        multiext("results/figures/figure4", ".pdf", ".svg"),
        report(
            "results/figures/figure4.png",
            caption="../ipcascade/reporting/captions/figure4.rst",
            category="Figures",
            labels={"figure": "4", "shows": "calibration and coverage"},
        ),
    log:
        "logs/figure4.log",
    benchmark:
        "logs/benchmarks/figure4.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure4"),
    shell:
        "python -m ipcascade figure4 --config {params.config} --threads {threads} --log {log}"
        " --reliability {input.reliability} --calibration {input.calibration}"
        " --risk-coverage {input.risk_coverage} --levels {input.levels} --stem {params.stem}"


rule figure5:
    input:
        by_frequency="results/analysis/by_frequency.csv",
        confusion="results/analysis/confusion.csv",
        by_group="results/analysis/by_group.csv",
    output:
        multiext("results/figures/figure5", ".pdf", ".svg"),
        report(
            "results/figures/figure5.png",
            caption="../ipcascade/reporting/captions/figure5.rst",
            category="Figures",
            labels={"figure": "5", "shows": "errors"},
        ),
    log:
        "logs/figure5.log",
    benchmark:
        "logs/benchmarks/figure5.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure5"),
    shell:
        "python -m ipcascade figure5 --config {params.config} --threads {threads} --log {log}"
        " --by-frequency {input.by_frequency} --confusion {input.confusion} --by-group {input.by_group}"
        " --stem {params.stem}"


rule figure6:
    input:
        comparison="results/comparison/test.json",
    output:
        multiext("results/figures/figure6", ".pdf", ".svg"),
        report(
            "results/figures/figure6.png",
            caption="../ipcascade/reporting/captions/figure6.rst",
            category="Figures",
            labels={"figure": "6", "shows": "runs compared"},
        ),
    log:
        "logs/figure6.log",
    benchmark:
        "logs/benchmarks/figure6.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure6"),
    shell:
        "python -m ipcascade figure6 --config {params.config} --threads {threads} --log {log}"
        " --comparison {input.comparison} --stem {params.stem}"


rule figure7:
    input:
        funnel="results/corpus/funnel.json",
    output:
        multiext("results/figures/figure7", ".pdf", ".svg"),
        report(
            "results/figures/figure7.png",
            caption="../ipcascade/reporting/captions/figure7.rst",
            category="Figures",
            labels={"figure": "7", "shows": "from the source to the corpus"},
        ),
    log:
        "logs/figure7.log",
    benchmark:
        "logs/benchmarks/figure7.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        stem=output_stem,
        options=options("figures"),
        code=code("figure7"),
    shell:
        "python -m ipcascade figure7 --config {params.config} --threads {threads} --log {log}"
        " --funnel {input.funnel} --stem {params.stem}"


rule figures:
    input:
        expand("results/figures/figure{number}.{ending}", number=[1, 2, 3, 4, 5, 7], ending=["pdf", "png", "svg"]),


rule report:
    input:
        parts_of_report,
        funnel="results/corpus/funnel.json",
        audit="results/splits/audit.json",
        tokens=f"results/tokens/{TOKEN_FACTS}",
        history="results/training/history.parquet",
        metrics=expand("results/metrics/{split}.json", split=SCORED_SPLITS),
        analysis=expand("results/analysis/{table}", table=[*ANALYSIS, SOURCE_EFFECTS]),
        figures=expand("results/figures/figure{number}.svg", number=[1, 2, 3, 4, 5, 7]),
        predictions=expand("results/predictions/{name}.facts.json", name=CONFIG.prediction.inputs),
        labelled=expand("results/metrics/inputs/{name}.json", name=CONFIG.prediction.labels),
        matrices=expand("results/matrices/{name}.parquet", name=CONFIG.matrices),
        matrix_figures=expand("results/figures/matrix_{name}.svg", name=CONFIG.matrices),
    output:
        "results/report/index.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        comparison=comparison_as_it_is,
        content=content_of_comparison,
        options=options(*settings.Config.model_fields),
        code=code("report"),
    shell:
        "python -m ipcascade report --config {params.config} --threads {threads} --log {log} --results results"
        " --benchmarks logs/benchmarks {params.comparison} --report {output}"


rule paper:
    input:
        funnel="results/corpus/funnel.json",
        audit="results/splits/audit.json",
        tokens=f"results/tokens/{TOKEN_FACTS}",
        val="results/metrics/val.json",
        test="results/metrics/test.json",
        captions=captions_of_figures,
    output:
        numbers="results/paper/numbers.tex",
        captions="results/paper/captions.tex",
    log:
        "logs/paper.log",
    benchmark:
        "logs/benchmarks/paper.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        comparison=comparison_as_it_is,
        content=content_of_comparison,
        options=options(*settings.Config.model_fields),
        code=code("paper"),
    shell:
        "python -m ipcascade paper --config {params.config} --threads {threads} --log {log}"
        " --funnel {input.funnel} --audit {input.audit} --tokens {input.tokens} --val {input.val}"
        " --test {input.test} {params.comparison} --numbers {output.numbers} --captions {output.captions}"


# What may be handed on: measures, tables and figures. Texts and weights are not among it, nor are tables of documents:
# matrices have rows of single units where nothing divides these.
WITHOUT_UNITS = [name for name, matrix in CONFIG.matrices.items() if matrix.by]
HANDED_ON = [
    "results/corpus/funnel.json",
    "results/splits/audit.json",
    f"results/encoder/{ENCODER_FACTS}",
    f"results/tokens/{TOKEN_FACTS}",
    "results/evidence/combiner.json",
    "results/thresholds/thresholds.json",
    *expand("results/metrics/{split}.json", split=SCORED_SPLITS),
    *expand("results/analysis/{table}", table=[table for table in ANALYSIS if table != WORST_DOCUMENTS]),
    f"results/analysis/{SOURCE_EFFECTS}",
    *rules.tables.input,
    *rules.figures.input,
    *rules.paper.output,
    *rules.report.output,
    *expand("results/matrices/{name}{ending}.csv", name=WITHOUT_UNITS, ending=["", "_wide"]),
    *expand("results/figures/matrix_{name}.{ending}", name=WITHOUT_UNITS, ending=["pdf", "png", "svg"]),
    *expand("results/metrics/inputs/{name}.json", name=CONFIG.prediction.labels),
]


rule crate:
    input:
        files=HANDED_ON,
        workflow=files_of_workflow,
    output:
        "results/crate/ro-crate-metadata.json",
    log:
        "logs/crate.log",
    benchmark:
        "logs/benchmarks/crate.jsonl"
    retries: 0
    conda:
        "../../envs/ipcascade.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=run_config,
        crate=output_folder,
        options=options(*settings.Config.model_fields),
        code=code("crate"),
    shell:
        "python -m ipcascade crate --config {params.config} --threads {threads} --log {log} --results results"
        " --files {input.files} --workflow {input.workflow:q} --crate {params.crate}"
