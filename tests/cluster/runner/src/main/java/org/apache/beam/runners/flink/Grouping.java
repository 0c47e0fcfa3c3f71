package org.apache.beam.runners.flink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.flink.api.common.functions.RichGroupReduceFunction;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.util.Collector;

/** Beam's group-by-key in the global window: the encoded pairs of one encoded key become one encoded group. */
final class Grouping extends RichGroupReduceFunction<byte[], byte[]> {
  private final Coder<WindowedValue<Object>> pairs;
  private final Coder<WindowedValue<Object>> groups;

  Grouping(Coder<WindowedValue<Object>> pairs, Coder<WindowedValue<Object>> groups) {
    this.pairs = pairs;
    this.groups = groups;
  }

  @Override
  public void reduce(Iterable<byte[]> elements, Collector<byte[]> out) throws Exception {
    List<Object> values = new ArrayList<>();
    Object key = null;
    for (byte[] element : elements) {
      KV<?, ?> pair = (KV<?, ?>) CoderUtils.decodeFromByteArray(pairs, element).getValue();
      key = pair.getKey();
      values.add(pair.getValue());
    }
    out.collect(CoderUtils.encodeToByteArray(groups, WindowedValues.valueInGlobalWindow((Object) KV.of(key, values))));
  }

  /** Gives a pair's encoded key, a character for each byte. */
  static final class Key implements KeySelector<byte[], String> {
    private final Coder<WindowedValue<Object>> pairs;

    Key(Coder<WindowedValue<Object>> pairs) {
      this.pairs = pairs;
    }

    @Override
    @SuppressWarnings({"unchecked", "rawtypes"})
    public String getKey(byte[] element) throws Exception {
      KV<?, ?> pair = (KV<?, ?>) CoderUtils.decodeFromByteArray(pairs, element).getValue();
      KvCoder of = (KvCoder) ((WindowedValues.WindowedValueCoder<?>) (Coder) pairs).getValueCoder();
      byte[] key = CoderUtils.encodeToByteArray((Coder<Object>) of.getKeyCoder(), pair.getKey());
      return new String(key, StandardCharsets.ISO_8859_1);
    }
  }
}
