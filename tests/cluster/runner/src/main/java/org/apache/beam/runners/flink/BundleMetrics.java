package org.apache.beam.runners.flink;

import java.io.Serializable;
import java.util.List;
import org.apache.beam.model.jobmanagement.v1.JobApi;
import org.apache.beam.model.pipeline.v1.MetricsApi.MonitoringInfo;
import org.apache.beam.runners.core.metrics.MetricsContainerStepMap;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.InvalidProtocolBufferException;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.util.JsonFormat;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.api.common.accumulators.SimpleAccumulator;
import org.apache.flink.api.common.functions.RuntimeContext;

/** What workers counted: Flink's counters, for its UI, and an accumulator that Beam's Python client reads. */
final class BundleMetrics {
  private static final String ACCUMULATOR = "__metricscontainers"; // the client asks for it by this name
  private static final String SUM = "beam:metric:user:sum_int64:v1";

  private final RuntimeContext context;
  private final Counted counted;

  BundleMetrics(RuntimeContext context) {
    this.context = context;
    Accumulator<?, ?> known = context.getAccumulator(ACCUMULATOR);
    if (known == null) {
      known = new Counted();
      context.addAccumulator(ACCUMULATOR, known);
    }
    this.counted = (Counted) known;
  }

  /** Adds what one bundle counted. */
  synchronized void add(List<MonitoringInfo> infos) {
    for (MonitoringInfo info : infos) {
      String step = info.getLabelsOrDefault("PTRANSFORM", "");
      if (!step.isEmpty() && info.getUrn().startsWith("beam:metric:user:")) {
        counted.map.getContainer(step).update(List.of(info));
        if (info.getUrn().equals(SUM)) {
          context
              .getMetricGroup()
              .addGroup(info.getLabelsOrDefault("NAMESPACE", "beam"))
              .counter(info.getLabelsOrDefault("NAME", ""))
              .inc(varint(info.getPayload().toByteArray()));
        }
      }
    }
  }

  private static long varint(byte[] payload) {
    long value = 0;
    for (int i = 0; i < payload.length; i++) {
      value |= (payload[i] & 0x7FL) << (7 * i);
    }
    return value;
  }

  /** Metrics by step, which prints as the JSON of Beam's GetJobMetricsResponse. */
  static final class Counted implements SimpleAccumulator<Counted>, Serializable {
    private MetricsContainerStepMap map = new MetricsContainerStepMap();

    @Override
    public void add(Counted other) {
      map.updateAll(other.map);
    }

    @Override
    public Counted getLocalValue() {
      return this;
    }

    @Override
    public void resetLocal() {
      map = new MetricsContainerStepMap();
    }

    @Override
    public void merge(Accumulator<Counted, Counted> other) {
      add(other.getLocalValue());
    }

    @Override
    public Accumulator<Counted, Counted> clone() {
      Counted copy = new Counted();
      copy.add(this);
      return copy;
    }

    @Override
    public String toString() {
      JobApi.MetricResults found =
          JobApi.MetricResults.newBuilder().addAllAttempted(map.getMonitoringInfos()).build();
      try {
        return JsonFormat.printer().print(JobApi.GetJobMetricsResponse.newBuilder().setMetrics(found));
      } catch (InvalidProtocolBufferException error) {
        throw new IllegalStateException(error);
      }
    }
  }
}
