# The config as it is run, all defaults filled in, which every command reads. Makes: results/run_config.yaml,
# and the same for each further run.
# No rule requires it, since each depends on its own options only; it is up to date whenever a run starts.


rule run_config:
    output:
        # Jobs may be reading it, so it is not deleted first.
        update(RUN_CONFIG),
    log:
        "logs{run}/run_config.log",
    params:
        options=options(*settings.Config.model_fields),
    run:
        config_file.write(config_of(wildcards), Path(output[0]))
