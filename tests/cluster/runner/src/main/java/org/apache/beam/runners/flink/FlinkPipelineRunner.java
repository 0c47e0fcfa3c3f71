package org.apache.beam.runners.flink;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.wire.WireCoders;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.util.construction.graph.GreedyPipelineFuser;
import org.apache.beam.sdk.util.construction.graph.PipelineNode;
import org.apache.beam.sdk.util.construction.graph.QueryablePipeline;
import org.apache.beam.sdk.util.construction.graph.TrivialNativeTransformExpander;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Struct;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Value;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.util.JsonFormat;
import org.apache.flink.api.common.ExecutionMode;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.DataSet;
import org.apache.flink.api.java.ExecutionEnvironment;
import org.apache.flink.api.java.io.DiscardingOutputFormat;
import org.apache.flink.api.java.operators.MapPartitionOperator;
import org.apache.flink.api.java.tuple.Tuple2;

/**
 * Runs the batch pipeline that lies in this jar on the Flink cluster that the jar was sent to.
 *
 * <p>Its name and the places in the jar are those by which Beam's Python client calls Beam's own job server
 * (apache_beam/runners/portability/flink_uber_jar_job_server.py), so that the same command line runs with either jar. Beam's
 * library fuses the pipeline and talks to the Python workers; only what lies between, the translation of impulse,
 * flatten, reshuffle, group-by-key and executable stages to Flink's operators, is made here. Elements travel through Flink as
 * bytes, encoded by Beam's runner wire coders. There are no windows but the global one, no state, no timers.
 */
public final class FlinkPipelineRunner {
  private static final String FOLDER = "BEAM-PIPELINE/pipeline/";
  private static final String IMPULSE = "beam:transform:impulse:v1";
  private static final String FLATTEN = "beam:transform:flatten:v1";
  private static final String GROUP_BY_KEY = "beam:transform:group_by_key:v1";
  static final String RESHUFFLE = "beam:transform:reshuffle:v1";
  private static final String GLOBAL_WINDOWS = "beam:window_fn:global_windows:v1";

  private final ExecutionEnvironment flink = ExecutionEnvironment.getExecutionEnvironment();
  private final Map<String, DataSet<byte[]>> collections = new HashMap<>();
  private final RunnerApi.Components components;
  private final JobInfo job;

  private FlinkPipelineRunner(RunnerApi.Components components, JobInfo job) {
    this.components = components;
    this.job = job;
  }

  /** Translates and starts the pipeline. */
  public static void main(String[] arguments) throws Exception {
    Struct.Builder options = Struct.newBuilder();
    read(FOLDER + "pipeline-options.json", options);
    RunnerApi.Pipeline.Builder given = RunnerApi.Pipeline.newBuilder();
    read(FOLDER + "pipeline.json", given);
    RunnerApi.Pipeline known =
        TrivialNativeTransformExpander.forKnownUrns(given.build(), Set.of(IMPULSE, FLATTEN, GROUP_BY_KEY, RESHUFFLE));
    RunnerApi.Pipeline fused = GreedyPipelineFuser.fuse(known).toPipeline();
    String name = option(options, "job_name", "dreambeam");
    JobInfo job = JobInfo.create(name, name, "", options.build());
    FlinkPipelineRunner runner = new FlinkPipelineRunner(fused.getComponents(), job);
    int parallelism = (int) Double.parseDouble(option(options, "parallelism", "-1"));
    if (parallelism > 0) {
      runner.flink.setParallelism(parallelism);
    }
    runner.flink.getConfig().setExecutionMode(ExecutionMode.valueOf(option(options, "execution_mode_for_batch", "PIPELINED")));
    runner.translate(QueryablePipeline.forTransforms(fused.getRootTransformIdsList(), fused.getComponents()));
    runner.flink.execute(name);
  }

  private static void read(String name, org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Message.Builder into)
      throws IOException {
    try (InputStream stream = FlinkPipelineRunner.class.getClassLoader().getResourceAsStream(name)) {
      if (stream == null) {
        throw new IOException("this jar holds no " + name + ": send it by --runner=FlinkRunner --flink_submit_uber_jar");
      }
      JsonFormat.parser().ignoringUnknownFields().merge(new InputStreamReader(stream, StandardCharsets.UTF_8), into);
    }
  }

  private static String option(Struct.Builder options, String name, String otherwise) {
    Value value = options.getFieldsOrDefault("beam:option:" + name + ":v1", Value.getDefaultInstance());
    switch (value.getKindCase()) {
      case STRING_VALUE:
        return value.getStringValue();
      case NUMBER_VALUE:
        return Double.toString(value.getNumberValue());
      default:
        return otherwise;
    }
  }

  private void translate(QueryablePipeline pipeline) throws IOException {
    for (PipelineNode.PTransformNode node : pipeline.getTopologicallyOrderedTransforms()) {
      RunnerApi.PTransform transform = node.getTransform();
      switch (transform.getSpec().getUrn()) {
        case IMPULSE:
          impulse(transform);
          break;
        case FLATTEN:
          flatten(transform);
          break;
        case RESHUFFLE:
          reshuffle(transform);
          break;
        case GROUP_BY_KEY:
          groupByKey(transform);
          break;
        default:
          if (!transform.getSpec().getUrn().equals(ExecutableStage.URN)) {
            throw new UnsupportedOperationException(transform.getUniqueName() + ": " + transform.getSpec().getUrn());
          }
          stage(node.getId(), transform);
      }
    }
  }

  private Coder<WindowedValue<Object>> coder(String collection) throws IOException {
    return coder(collection, components);
  }

  static Coder<WindowedValue<Object>> coder(String collection, RunnerApi.Components components) throws IOException {
    return WireCoders.instantiateRunnerWireCoder(
        PipelineNode.pCollection(collection, components.getPcollectionsOrThrow(collection)), components);
  }

  private void impulse(RunnerApi.PTransform transform) throws IOException {
    String output = transform.getOutputsMap().values().iterator().next();
    byte[] element = CoderUtils.encodeToByteArray(coder(output), WindowedValues.valueInGlobalWindow(new byte[0]));
    collections.put(output, flink.fromElements(new byte[][] {element}).setParallelism(1));
  }

  private void flatten(RunnerApi.PTransform transform) {
    DataSet<byte[]> all = null;
    for (String input : transform.getInputsMap().values()) {
      DataSet<byte[]> each = collections.get(input);
      all = all == null ? each : all.union(each);
    }
    collections.put(transform.getOutputsMap().values().iterator().next(), all);
  }

  private void reshuffle(RunnerApi.PTransform transform) {
    DataSet<byte[]> input = collections.get(transform.getInputsMap().values().iterator().next());
    collections.put(transform.getOutputsMap().values().iterator().next(), input.rebalance());
  }

  private void groupByKey(RunnerApi.PTransform transform) throws IOException {
    String input = transform.getInputsMap().values().iterator().next();
    String output = transform.getOutputsMap().values().iterator().next();
    RunnerApi.WindowingStrategy windows =
        components.getWindowingStrategiesOrThrow(components.getPcollectionsOrThrow(input).getWindowingStrategyId());
    if (!windows.getWindowFn().getUrn().equals(GLOBAL_WINDOWS)) {
      throw new UnsupportedOperationException(transform.getUniqueName() + ": " + windows.getWindowFn().getUrn());
    }
    collections.put(
        output,
        collections
            .get(input)
            .groupBy(new Grouping.Key(coder(input)))
            .reduceGroup(new Grouping(coder(input), coder(output)))
            .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
            .name(transform.getUniqueName()));
  }

  private void stage(String id, RunnerApi.PTransform transform) throws IOException {
    RunnerApi.ExecutableStagePayload payload =
        RunnerApi.ExecutableStagePayload.parseFrom(transform.getSpec().getPayload());
    String[] outputs = transform.getOutputsMap().values().toArray(new String[0]);
    MapPartitionOperator<byte[], Tuple2<Integer, byte[]>> run =
        collections
            .get(payload.getInput())
            .mapPartition(new Stage(payload.toByteArray(), outputs, job))
            .returns(Types.TUPLE(Types.INT, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO))
            .name(transform.getUniqueName());
    for (RunnerApi.ExecutableStagePayload.SideInputId side : payload.getSideInputsList()) {
      String collection =
          payload.getComponents().getTransformsOrThrow(side.getTransformId()).getInputsOrThrow(side.getLocalName());
      run = run.withBroadcastSet(collections.get(collection), collection);
    }
    for (int number = 0; number < outputs.length; number++) {
      int wanted = number;
      collections.put(
          outputs[number],
          run.filter(each -> each.f0 == wanted)
              .map(each -> each.f1)
              .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
    }
    if (outputs.length == 0) {
      run.output(new DiscardingOutputFormat<>());
    }
  }
}
