import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.Base64;

/** Java's HttpURLConnection, with its defaults: `java Get.java METHOD URL…` prints a line "status length base64" for each URL. */
public class Get {
    public static void main(String[] arguments) throws Exception {
        for (int i = 1; i < arguments.length; i++) {
            var connection = (HttpURLConnection) URI.create(arguments[i]).toURL().openConnection();
            connection.setRequestMethod(arguments[0]);
            int status = connection.getResponseCode();
            try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
                byte[] bytes = body == null ? new byte[0] : body.readAllBytes();
                String content = Base64.getEncoder().encodeToString(bytes);
                System.out.println(status + " " + connection.getContentLength() + " " + content);
            }
        }
    }
}
