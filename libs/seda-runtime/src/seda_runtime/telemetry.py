"""Traces and metrics on OpenTelemetry, so that a service names what it measures and nothing more.

Traces leave by OTLP when an endpoint is set; metrics are Prometheus text on their own port.
Instruments may be created at import: they start to count once `configure_telemetry` has run.
"""

import random
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

import prometheus_client
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Counter, Histogram, UpDownCounter
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
tracer = trace.get_tracer("seda")
_meter = metrics.get_meter("seda")


def configure_telemetry(
    *, service: str, version: str, env: str, otlp_endpoint: str | None, sample_ratio: float
) -> None:
    """Install the providers once per process; a provider that a test installed is left alone."""
    resource = Resource.create(
        {"service.name": service, "service.version": version, "deployment.environment.name": env}
    )
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(sample_ratio))
        )
        if otlp_endpoint is not None:
            exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
            provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(
            MeterProvider(resource=resource, metric_readers=[PrometheusMetricReader()])
        )


@contextmanager
def serve_metrics(host: str, port: int | None) -> Iterator[int | None]:
    """Answer every path on `port` with Prometheus text; yields the port that is really open."""
    if port is None:
        yield None
        return
    server, thread = prometheus_client.start_http_server(port, addr=host)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def counter(name: str, description: str) -> Counter:
    return _meter.create_counter(name, description=description)


def gauge(name: str, description: str) -> UpDownCounter:
    """A level that rises and falls by what is added to it."""
    return _meter.create_up_down_counter(name, description=description)


def reading(name: str, unit: str, description: str) -> Gauge:
    """A level that is read off something and set, as on a dial; the last one stays."""
    return _meter.create_gauge(name, unit=unit, description=description)


def histogram(name: str, description: str) -> Histogram:
    """Durations in seconds, from a tenth of a millisecond to ten seconds."""
    return _meter.create_histogram(
        name,
        unit="s",
        description=description,
        explicit_bucket_boundaries_advisory=[
            0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
        ],
    )  # fmt: skip


@contextmanager
def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, headers: Mapping[str, str] | None = None
) -> Iterator[Span]:
    """A span under the current one, or under the `traceparent` in `headers` when given."""
    context = extract_trace(headers) if headers is not None else None
    with tracer.start_as_current_span(name, context=context, kind=kind) as current:
        yield current


def inject_trace(headers: MutableMapping[str, str]) -> None:
    """Write `traceparent` of the current span, if there is one."""
    _propagator.inject(headers)


def extract_trace(headers: Mapping[str, str]) -> Context:
    """The caller's trace; garbage gives a fresh one (W3C Trace Context 4.3)."""
    return _propagator.extract(headers, context=Context())


def sampled(ratio: float, traceparent: str | None) -> bool:
    """Decide before entering OpenTelemetry, whose unsampled spans cost 65 to 95 microseconds."""
    return traceparent is not None or random.random() < ratio
