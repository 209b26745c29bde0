"""Everything that knows Snakemake or Slurm; imported by the Snakefile alone."""
