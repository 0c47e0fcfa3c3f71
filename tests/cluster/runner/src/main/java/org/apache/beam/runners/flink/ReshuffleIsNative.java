package org.apache.beam.runners.flink;

import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.sdk.util.construction.NativeTransforms;

/** Tells Beam's fuser that a reshuffle is run by Flink; it is found as a service. */
public final class ReshuffleIsNative implements NativeTransforms.IsNativeTransform {
  @Override
  public boolean test(RunnerApi.PTransform transform) {
    return transform.getSpec().getUrn().equals(FlinkPipelineRunner.RESHUFFLE);
  }
}
