# The image of any one service. compose.yaml and CI pass SERVICE and PORT from infra/services.toml:
#
#   docker build -f infra/docker/service.Dockerfile \
#     --build-arg SERVICE=crawler --build-arg PACKAGE=crawler --build-arg PORT=3006 .

ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
ARG SERVICE
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN python -m pip install --no-cache-dir uv==0.13.8
WORKDIR /source
RUN uv venv /app
# Third-party packages first: this layer changes only with the lock.
COPY services/${SERVICE}/requirements.lock ./
RUN uv pip install --no-cache --python /app --require-hashes --requirement requirements.lock
# Then the service and the workspace packages it names. Offline, so a dependency that the lock
# forgot stops the build instead of slipping in without a hash; not editable, because /source stays
# behind in this stage.
COPY pyproject.toml ./
COPY contracts contracts
COPY libs libs
COPY services/${SERVICE} services/${SERVICE}
RUN uv pip install --no-cache --python /app --offline --no-editable ./services/${SERVICE}

FROM ${PYTHON}
ARG PACKAGE
ARG PORT
RUN groupadd --gid 10001 seda \
  && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin seda \
  && install --directory --owner=seda --group=seda /var/lib/seda
COPY --from=build /app /app
COPY infra/docker/launch.py /app/launch.py
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  SEDA_PACKAGE=${PACKAGE} HOST=0.0.0.0 PORT=${PORT}
WORKDIR /app
USER 10001:10001
EXPOSE ${PORT}
# Liveness only: a database that is away must not make the container look broken.
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=2)"]
ENTRYPOINT ["python", "/app/launch.py"]
CMD ["serve"]
