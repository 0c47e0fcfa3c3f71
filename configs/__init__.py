"""The configs that dreambeam ships, one YAML file each; `pipelines.config.shipped_configs` finds them."""
