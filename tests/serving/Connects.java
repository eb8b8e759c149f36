import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.ResultSet;
import java.util.Properties;

/** Each block of input is a driver, an address and properties (name=value), ended by an empty line: who am I there? */
public class Connects {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String driver = in.readLine(); driver != null; driver = in.readLine()) {
            String url = in.readLine();
            Properties properties = new Properties();
            for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
                String[] pair = line.split("=", 2);
                properties.setProperty(pair[0], pair[1]);
            }
            System.out.println(answer(driver, url, properties).replace('\n', ' '));
        }
    }

    private static Driver named(String driver) throws ReflectiveOperationException {
        return (Driver) Class.forName(driver).getDeclaredConstructor().newInstance();
    }

    private static String answer(String driver, String url, Properties properties) {
        try (Connection connection = named(driver).connect(url, properties);
                ResultSet rows = connection.createStatement().executeQuery("SELECT 'hello ' || current_user")) {
            rows.next();
            return rows.getString(1);
        } catch (Exception error) {
            StringBuilder said = new StringBuilder("refused:");
            for (Throwable each = error; each != null; each = each.getCause()) {
                said.append(' ').append(each.getMessage());
            }
            return said.toString();
        }
    }
}
