import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** The loyalty job in Kafka Streams, at least once, a commit each second: BOOTSTRAP INPUT OUTPUT STATE [PROPERTY=VALUE...]. */
public final class Streams {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) {
        Properties properties = new Properties();
        properties.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, "loyalty-" + args[1],
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
                StreamsConfig.STATE_DIR_CONFIG, args[3],
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
                ProducerConfig.ACKS_CONFIG, "all"));
        for (int i = 4; i < args.length; i++) {
            String[] setting = args[i].split("=", 2);
            properties.put(setting[0], setting[1]);
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[1], Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .map((key, value) -> answer(value))
                .to(args[2], Produced.with(Serdes.String(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static KeyValue<String, byte[]> answer(byte[] value) {
        try {
            ObjectNode invoice = (ObjectNode) JSON.readTree(value);
            ObjectNode points = JSON.createObjectNode();
            double total = invoice.get("TotalValue").asDouble();
            points.set("BillNo", invoice.get("BillNo"));
            points.set("CustomerCardNo", invoice.get("CustomerCardNo"));
            points.put("TotalValue", total);
            points.put("EarnedLoyaltyPoints", total * 0.2);
            return KeyValue.pair(invoice.get("BillNo").asText(), JSON.writeValueAsBytes(points));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
