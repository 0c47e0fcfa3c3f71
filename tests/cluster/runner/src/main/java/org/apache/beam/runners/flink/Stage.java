package org.apache.beam.runners.flink;

import java.io.IOException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleProgressResponse;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.StateKey;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.control.BundleProgressHandler;
import org.apache.beam.runners.fnexecution.control.DefaultExecutableStageContext;
import org.apache.beam.runners.fnexecution.control.ExecutableStageContext;
import org.apache.beam.runners.fnexecution.control.OutputReceiverFactory;
import org.apache.beam.runners.fnexecution.control.ProcessBundleDescriptors;
import org.apache.beam.runners.fnexecution.control.ReferenceCountingExecutableStageContextFactory;
import org.apache.beam.runners.fnexecution.control.RemoteBundle;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.state.StateRequestHandler;
import org.apache.beam.runners.fnexecution.state.StateRequestHandlers;
import org.apache.beam.runners.fnexecution.translation.BatchSideInputHandlerFactory;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.fn.data.FnDataReceiver;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.flink.api.common.functions.RichMapPartitionFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.util.Collector;

/**
 * A fused stage of Python transforms: sends the encoded elements of a partition to a worker as one bundle, and gives its
 * outputs, each with the number of its collection.
 */
final class Stage extends RichMapPartitionFunction<byte[], Tuple2<Integer, byte[]>> {
  /** The workers of this job on this TaskManager; they stop when nothing holds them. */
  private static final ReferenceCountingExecutableStageContextFactory CONTEXTS =
      ReferenceCountingExecutableStageContextFactory.create(DefaultExecutableStageContext::create, caller -> true);

  /** Holds the workers between stages, which would otherwise stop; until one fails, or the job ends. */
  private static ExecutableStageContext kept;

  private final byte[] payload;
  private final String[] outputs;
  private final JobInfo job;
  private transient ExecutableStage stage;
  private transient ExecutableStageContext context;
  private transient StageBundleFactory bundles;
  private transient StateRequestHandler state;
  private transient BundleMetrics metrics;

  Stage(byte[] payload, String[] outputs, JobInfo job) {
    this.payload = payload;
    this.outputs = outputs;
    this.job = job;
  }

  @Override
  public void open(Configuration unused) throws Exception {
    stage = ExecutableStage.fromPayload(RunnerApi.ExecutableStagePayload.parseFrom(payload));
    context = CONTEXTS.get(job);
    try {
      bundles = context.getStageBundleFactory(stage);
    } catch (RuntimeException error) {
      forget();
      throw error;
    }
    StateRequestHandler sides =
        StateRequestHandlers.forSideInputHandlerFactory(
            ProcessBundleDescriptors.getSideInputs(stage),
            BatchSideInputHandlerFactory.forStage(
                stage,
                new BatchSideInputHandlerFactory.SideInputGetter() {
                  @Override
                  public <T> List<T> getSideInput(String collection) {
                    return side(collection);
                  }
                }));
    EnumMap<StateKey.TypeCase, StateRequestHandler> handlers = new EnumMap<>(StateKey.TypeCase.class);
    handlers.put(StateKey.TypeCase.ITERABLE_SIDE_INPUT, sides);
    handlers.put(StateKey.TypeCase.MULTIMAP_SIDE_INPUT, sides);
    handlers.put(StateKey.TypeCase.MULTIMAP_KEYS_SIDE_INPUT, sides);
    state = StateRequestHandlers.delegateBasedUponType(handlers);
    metrics = new BundleMetrics(getRuntimeContext());
  }

  @SuppressWarnings("unchecked")
  private <T> List<T> side(String collection) {
    return (List<T>)
        getRuntimeContext()
            .getBroadcastVariableWithInitializer(
                collection,
                elements -> {
                  try {
                    Coder<WindowedValue<Object>> coder = FlinkPipelineRunner.coder(collection, stage.getComponents());
                    List<WindowedValue<Object>> decoded = new java.util.ArrayList<>();
                    for (Object element : elements) {
                      decoded.add(CoderUtils.decodeFromByteArray(coder, (byte[]) element));
                    }
                    return decoded;
                  } catch (IOException error) {
                    throw new java.io.UncheckedIOException(error);
                  }
                });
  }

  @Override
  @SuppressWarnings({"unchecked", "rawtypes"})
  public void mapPartition(Iterable<byte[]> elements, Collector<Tuple2<Integer, byte[]>> out) throws Exception {
    Iterator<byte[]> each = elements.iterator();
    if (!each.hasNext()) {
      return;
    }
    Coder<WindowedValue<Object>> input =
        FlinkPipelineRunner.coder(stage.getInputPCollection().getId(), stage.getComponents());
    Map<String, Coder<WindowedValue<Object>>> coders = new HashMap<>();
    for (String collection : outputs) {
      coders.put(collection, FlinkPipelineRunner.coder(collection, stage.getComponents()));
    }
    OutputReceiverFactory receivers =
        new OutputReceiverFactory() {
          @Override
          public <T> FnDataReceiver<T> create(String collection) {
            int number = Arrays.asList(outputs).indexOf(collection);
            Coder<WindowedValue<Object>> coder = coders.get(collection);
            return value -> {
              byte[] encoded = CoderUtils.encodeToByteArray(coder, (WindowedValue<Object>) value);
              synchronized (out) { // workers answer on threads of their own
                out.collect(Tuple2.of(number, encoded));
              }
            };
          }
        };
    BundleProgressHandler progress =
        new BundleProgressHandler() {
          @Override
          public void onProgress(ProcessBundleProgressResponse unused) {}

          @Override
          public void onCompleted(ProcessBundleResponse response) {
            metrics.add(response.getMonitoringInfosList());
          }
        };
    try (RemoteBundle bundle = bundles.getBundle(receivers, state, progress)) {
      FnDataReceiver receiver = bundle.getInputReceivers().values().iterator().next();
      while (each.hasNext()) {
        receiver.accept(CoderUtils.decodeFromByteArray(input, each.next()));
      }
    } catch (Exception error) { // of closing the bundle, too, which waits for the worker
      forget();
      throw error;
    }
    keep();
  }

  private void keep() {
    synchronized (Stage.class) {
      if (kept == null) {
        kept = CONTEXTS.get(job);
        getRuntimeContext().registerUserCodeClassLoaderReleaseHookIfAbsent("workers", Stage::forget);
      }
    }
  }

  private static void forget() {
    ExecutableStageContext forgotten;
    synchronized (Stage.class) {
      forgotten = kept;
      kept = null;
    }
    if (forgotten != null) {
      try {
        forgotten.close();
      } catch (Exception error) {
        throw new IllegalStateException("the workers could not be stopped", error);
      }
    }
  }

  @Override
  public void close() throws Exception {
    try (AutoCloseable first = context; AutoCloseable second = bundles) {
      stage = null;
    }
  }
}
