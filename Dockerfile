# The container in which Beam's Python workers dream: Beam's own, with dreambeam and YAMNet's weights in it.
#   docker build --tag REGISTRY/dreambeam:0.4.0 . && docker push REGISTRY/dreambeam:0.4.0
#   dreambeam augment ... --sdk_container_image=REGISTRY/dreambeam:0.4.0
# The machine that starts a run must have the same Python minor version, Beam and dreambeam; docs/cluster.md tells more.
FROM apache/beam_python3.11_sdk:2.77.0

ENV DREAMBEAM_CACHE=/opt/dreambeam/cache \
    TF_CPP_MIN_LOG_LEVEL=2

WORKDIR /opt/dreambeam/source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY augment augment/
COPY evaluation evaluation/
COPY pipelines pipelines/
RUN pip install --no-cache-dir --constraint constraints.txt .

# Fetched once, here; their hash is checked. Workers may run as any user, and write nothing there.
RUN python -c "from augment.models.weights import load_variables, resolve_weights; load_variables(resolve_weights())" \
    && chmod -R a+rX /opt/dreambeam

# Beam's boot program is the entry point, as in the image that this one is made from.
WORKDIR /tmp
