import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/** Runs a file of Flink SQL, statements ending in a semicolon at the end of a line, in this process: FILE [NAME=VALUE...]. */
public final class Flink {
    public static void main(String[] args) throws Exception {
        String text = Files.readString(Path.of(args[0]));
        for (int i = 1; i < args.length; i++) {
            String[] parameter = args[i].split("=", 2);
            text = text.replace("${" + parameter[0] + "}", parameter[1]);
        }
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        for (String statement : text.split(";\\s*\\n")) {
            if (statement.strip().startsWith("SET ")) {
                String[] setting = statement.strip().substring(4).replace("'", "").split("\\s*=\\s*", 2);
                tables.getConfig().set(setting[0], setting[1]);
            } else if (!statement.isBlank()) {
                TableResult result = tables.executeSql(statement);
                if (result.getJobClient().isPresent()) {
                    result.await();
                }
            }
        }
    }
}
