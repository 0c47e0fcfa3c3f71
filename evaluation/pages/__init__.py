"""All HTML and figures. Pages read the content of metrics.json and tables; they measure nothing."""
