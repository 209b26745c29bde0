include: "workflow/Snakefile"


# A default target does not come along with an included file.
workflow.default_target = "all"
