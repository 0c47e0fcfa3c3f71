"""The configs that dreambeam ships, one YAML file each; `pipelines.shipped_configs` finds them."""
