# The config as it was run, every default filled in. Makes: results/run_config.yaml.


rule run_config:
    output:
        "results/run_config.yaml",
    log:
        "logs/run_config.log",
    benchmark:
        "logs/benchmarks/run_config.jsonl"
    conda:
        "../../envs/ipcascade.yaml"
    params:
        options=options(*settings.Config.model_fields),
        code=code("run_config"),
    shell:
        "python -m ipcascade run_config --options {params.options:q} --log {log} --config {output}"
